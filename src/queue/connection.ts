import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import { type Clock, systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { QueueError } from './queue-error.ts';

/** Where Redis is. Strings that are empty count as not given. */
export interface RedisSettings {
  /** `redis://` or `rediss://`, with user, password and database if need be. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** PEM file with the authority of a `rediss://` server. */
  readonly tlsCaFile: string;
}

const connectTimeoutMs = 5000;
const retryDelayMaxMs = 1000;
/** Retry strategies of connections that were dropped. BullMQ's copies of a connection share its strategy. */
const givenUp = new WeakSet<object>();

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
 * a failover is left for its master, and the command sent again.
 */
export function openConnection(settings: RedisSettings, name: string): Redis {
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
  return new Redis(settings.url, options);
}

function identity(settings: RedisSettings): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  return {
    ...(settings.username === '' ? {} : { username: settings.username }),
    ...(settings.password === '' ? {} : { password: settings.password }),
    ...(settings.tlsCaFile === '' ? {} : { tls: { ca: readFileSync(settings.tlsCaFile) } }),
  };
}

/**
 * Resolves when Redis answers; rejects with a QueueError that names the URL without its password after `timeoutMs`,
 * or at once when Redis refuses the password.
 */
export async function awaitReady(
  redis: Redis,
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
export function dropConnection(redis: Redis): void {
  const { retryStrategy } = redis.options;
  if (typeof retryStrategy === 'function') givenUp.add(retryStrategy);
  redis.disconnect(false);
}

function isRefusal(error: Error): boolean {
  return /^(WRONGPASS|NOAUTH|NOPERM)|ERR AUTH|invalid password/i.test(error.message);
}

function refused(url: string, cause: unknown): QueueError {
  return new QueueError('redis-refused', `Redis at ${shownUrl(url)} refuses us: ${messageOf(cause)}`, { cause });
}

function unreachable(url: string, timeoutMs: number, cause: unknown): QueueError {
  const reason = cause === undefined ? '' : `: ${messageOf(cause)}`;
  const message = `no Redis at ${shownUrl(url)} within ${timeoutMs} ms${reason}`;
  return new QueueError('redis-unreachable', message, { retriable: true, details: { timeoutMs }, cause });
}
