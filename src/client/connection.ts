import { Cluster, Redis } from 'ioredis';
import { messageOf } from '../base/errors.ts';
import { ClientError } from './client-error.ts';
import type { ClientSettings, RedisAddress, RedisClusterAddress } from './settings.ts';

/** A server, or a cluster of them. */
export type RedisConnection = Redis | Cluster;

const retryDelayMsMax = 1000;
/** Between two attempts at a node of a cluster that is gone, is being replaced, or has moved its slots. */
const clusterRetryDelayMs = 200;
/** There is no "never": a command fails for good after so many of them. */
const clusterAttemptCountMax = 1_000_000;
const attemptTimeoutMs = 5000;
const disconnectTimeoutMs = 100;

/**
 * What becomes of commands that are unanswered when the connection breaks: `resend` sends them again when it is back,
 * which suits what may be done twice; `reject` fails them, so that the sender knows that they may have been carried out.
 */
export type OnBreak = 'resend' | 'reject';

/**
 * A cluster whose copies fail a command at once that its node cannot take now. BullMQ copies a connection in order to block
 * on it: a wait that is resent in silence instead makes it break the connection off, which may never end.
 */
class PatientCluster extends Cluster {
  override duplicate(...[nodes, options]: Parameters<Cluster['duplicate']>): ReturnType<Cluster['duplicate']> {
    return super.duplicate(nodes, { ...options, retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 });
  }
}

/**
 * A connection that is ready, and comes back by itself after an outage. Errors: ClientError `connection` if Redis is not
 * ready within `connectTimeoutMs`; then nothing is left open.
 */
export async function openRedis(settings: ClientSettings, onBreak: OnBreak): Promise<RedisConnection> {
  const redis = construct(settings.redis, onBreak);
  const last: { error: unknown } = { error: undefined };
  redis.on('error', (error: unknown) => {
    last.error = error;
    settings.logger.debug({ error: messageOf(error) }, 'redis connection error');
  });
  try {
    await ready(redis, settings, last);
    return redis;
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

/** What every server is talked to with. */
interface ServerOptions {
  readonly retryStrategy: (attempt: number) => number;
  readonly [option: string]: unknown;
}

function construct(address: ClientSettings['redis'], onBreak: OnBreak): RedisConnection {
  const options = {
    maxRetriesPerRequest: onBreak === 'resend' ? null : 0,
    enableReadyCheck: true,
    connectTimeout: attemptTimeoutMs,
    // A socket that is closed already is waited for so long: it would keep a process that wants to end.
    disconnectTimeout: disconnectTimeoutMs,
    retryStrategy: (attempt: number) => Math.min(100 * 2 ** attempt, retryDelayMsMax),
    // After a failover the old primary answers READONLY: connect anew and send the command again.
    reconnectOnError: (error: Error) => (error.message.includes('READONLY') ? 2 : false),
  };
  if (typeof address === 'string') return new Redis(address, options);
  if (isCluster(address)) return cluster(address, onBreak, options);
  return new Redis({ ...address, ...options });
}

function isCluster(address: RedisAddress | RedisClusterAddress): address is RedisClusterAddress {
  return Array.isArray(address.nodes);
}

function cluster(
  { nodes, ...common }: RedisClusterAddress,
  onBreak: OnBreak,
  { retryStrategy, reconnectOnError: _, ...options }: ServerOptions,
): Cluster {
  return new PatientCluster([...nodes], {
    redisOptions: { ...common, ...options },
    clusterRetryStrategy: retryStrategy,
    maxRedirections: clusterAttemptCountMax,
    // Without a delay a command whose node is gone fails at once.
    retryDelayOnFailover: onBreak === 'resend' ? clusterRetryDelayMs : 0,
    retryDelayOnClusterDown: clusterRetryDelayMs,
    slotsRefreshTimeout: attemptTimeoutMs,
  });
}

function ready(redis: RedisConnection, settings: ClientSettings, last: { readonly error: unknown }): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = settings.clock.after(settings.connectTimeoutMs, () => {
      redis.off('ready', succeed);
      const reason = last.error === undefined ? 'no answer' : messageOf(last.error);
      const message = `Redis is not ready after ${settings.connectTimeoutMs} ms: ${reason}`;
      const details = { connectTimeoutMs: settings.connectTimeoutMs };
      reject(new ClientError('connection', message, { retriable: true, details, cause: last.error }));
    });
    const succeed = (): void => {
      timer.cancel();
      resolve();
    };
    redis.once('ready', succeed);
  });
}
