import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { type Clock, systemClock } from '../base/clock.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import { QueueError } from './queue-error.ts';

/** A server, or a cluster of them. */
export type RedisConnection = Redis | Cluster;

/** What a `rediss://` connection takes beside the address. Strings that are empty count as not given. */
export interface TlsSettings {
  /** PEM file with the authority of the server; without it, those that Node.js knows. */
  readonly tlsCaFile: string;
  /** PEM files with which we say who we are, for a server that asks. */
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  /** Name in the server's certificate, where it is not the host of the address. */
  readonly tlsServerName?: string;
}

/** Where Redis is. Strings that are empty count as not given. */
export interface RedisSettings extends TlsSettings {
  /** `redis://` or `rediss://`, with user, password and database if need be. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Nodes of a Redis Cluster, as in `host:port,host:port`: in place of the URL's host and port. */
  readonly clusterNodes?: string;
}

const connectTimeoutMs = 5000;
const retryDelayMaxMs = 1000;
/** Between two attempts at a node of a cluster that is gone, is being replaced, or has moved its slots. */
const clusterRetryDelayMs = 200;
/** There is no "never": a command fails for good after so many of them. */
const clusterAttemptCountMax = 1_000_000;
/** Retry strategies of connections that were dropped. BullMQ's copies of a connection share its strategy. */
const givenUp = new WeakSet<object>();

/** Codes of OpenSSL and Node.js for a certificate that one of the two sides does not take. */
const distrust = /^(UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|CERT_|ERR_TLS_CERT_|ERR_SSL_.*ALERT)/;

/** The URL as it may be shown: the password is masked. */
export function shownUrl(url: string): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  return shown.href;
}

/**
 * A connection for a worker or a queue, which connects in the background and never gives up.
 *
 * `maxRetriesPerRequest: null`: without it a completion of a committed job fails after 20 reconnects and the job lands
 * in the failed set. The retry delay is capped at a second, since the default grows to 20. A read-only replica after
 * a failover is left for its master, and the command sent again. Of a cluster each command waits likewise until the node
 * of its slot is there.
 */
export function openConnection(settings: RedisSettings, name: string): RedisConnection {
  const retry = (attempt: number): number | null => {
    return givenUp.has(retry) ? null : Math.min(100 * 2 ** Math.min(attempt, 10), retryDelayMaxMs);
  };
  const options: Omit<RedisOptions, 'replyMapping'> = {
    ...identity(settings),
    connectionName: `permafrost:${name}`,
    connectTimeout: connectTimeoutMs,
    enableReadyCheck: true,
    maxRetriesPerRequest: null,
    retryStrategy: retry,
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  };
  const nodes = clusterNodesOf(settings.clusterNodes ?? '');
  if (nodes.length === 0) return new Redis(settings.url, options);
  const { retryStrategy: _, ...redisOptions } = { ...fromUrl(settings.url), ...options };
  return new PatientCluster([...nodes], {
    redisOptions,
    clusterRetryStrategy: retry,
    maxRedirections: clusterAttemptCountMax,
    retryDelayOnFailover: clusterRetryDelayMs,
    retryDelayOnClusterDown: clusterRetryDelayMs,
    slotsRefreshTimeout: connectTimeoutMs,
  });
}

/**
 * A cluster whose copies fail a command at once that its node cannot take now. BullMQ copies a connection in order to block
 * on it: a wait that is resent in silence instead makes it break the connection off, which may never end.
 */
class PatientCluster extends Cluster {
  override duplicate(...[nodes, options]: Parameters<Cluster['duplicate']>): ReturnType<Cluster['duplicate']> {
    return super.duplicate(nodes, { ...options, retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 });
  }
}

/** The servers that hold keys of their own: one, or the masters of a cluster that are known now. */
export function serversOf(redis: RedisConnection): readonly Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** The nodes in `host:port,host:port`. */
function clusterNodesOf(text: string): readonly { readonly host: string; readonly port: number }[] {
  return text
    .split(',')
    .filter((node) => node !== '')
    .map((node) => {
      const { hostname, port } = new URL(`redis://${node.trim()}`);
      return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
    });
}

/** What a URL says beside host and port, which the nodes of a cluster have of their own. */
function fromUrl(text: string): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  const url = new URL(text);
  return {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

function identity(settings: RedisSettings): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  const tls = tlsOptions(settings);
  return {
    ...(settings.username === '' ? {} : { username: settings.username }),
    ...(settings.password === '' ? {} : { password: settings.password }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
}

/** What the files hold, as a TLS connection takes it. They are read now: whoever replaces them starts us again. */
export function tlsOptions(settings: TlsSettings): ConnectionOptions {
  const { tlsCaFile, tlsCertFile = '', tlsKeyFile = '', tlsServerName = '' } = settings;
  return {
    ...(tlsCaFile === '' ? {} : { ca: readFileSync(tlsCaFile) }),
    ...(tlsCertFile === '' ? {} : { cert: readFileSync(tlsCertFile) }),
    ...(tlsKeyFile === '' ? {} : { key: readFileSync(tlsKeyFile) }),
    ...(tlsServerName === '' ? {} : { servername: tlsServerName }),
  };
}

/**
 * Resolves when Redis answers; rejects with a QueueError that names the URL without its password after `timeoutMs`,
 * or at once when one of the two sides does not trust the other: user, password, certificates.
 */
export async function awaitReady(
  redis: RedisConnection,
  url: string,
  timeoutMs: number,
  clock: Clock = systemClock,
): Promise<void> {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    let last: unknown;
    const settle = (error?: QueueError): void => {
      timer.cancel();
      redis.off('ready', ready).off('error', note);
      if (error === undefined) resolve();
      else reject(error);
    };
    const ready = (): void => settle();
    const note = (error: Error): void => {
      last = error;
      if (isRefusal(error)) settle(refused(url, error));
    };
    const timer = clock.after(timeoutMs, () => settle(unreachable(url, timeoutMs, last)));
    redis.on('ready', ready).on('error', note);
  });
}

/**
 * Ends a connection whatever its state, and keeps BullMQ from opening it or its copies again. Commands that wait in it
 * never settle when Redis is gone.
 */
export function dropConnection(redis: RedisConnection): void {
  const retryStrategy = redis instanceof Cluster ? redis.options.clusterRetryStrategy : redis.options.retryStrategy;
  if (typeof retryStrategy === 'function') givenUp.add(retryStrategy);
  redis.disconnect(false);
}

function isRefusal(error: Error): boolean {
  if (/^(WRONGPASS|NOAUTH|NOPERM)|ERR AUTH|invalid password/i.test(error.message)) return true;
  return distrust.test(codeOf(error) ?? '');
}

function refused(url: string, cause: unknown): QueueError {
  return new QueueError('redis-refused', `Redis at ${shownUrl(url)} refuses us: ${messageOf(cause)}`, { cause });
}

function unreachable(url: string, timeoutMs: number, cause: unknown): QueueError {
  const reason = cause === undefined ? '' : `: ${messageOf(cause)}`;
  const message = `no Redis at ${shownUrl(url)} within ${timeoutMs} ms${reason}`;
  return new QueueError('redis-unreachable', message, { retriable: true, details: { timeoutMs }, cause });
}
