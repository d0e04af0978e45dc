import { Redis } from 'ioredis';
import { messageOf } from '../base/errors.ts';
import { ClientError } from './client-error.ts';
import type { ClientSettings } from './settings.ts';

const retryDelayMsMax = 1000;
const attemptTimeoutMs = 5000;
const disconnectTimeoutMs = 100;

/**
 * What becomes of commands that are unanswered when the connection breaks: `resend` sends them again when it is back,
 * which suits what may be done twice; `reject` fails them, so that the sender knows that they may have been carried out.
 */
export type OnBreak = 'resend' | 'reject';

/**
 * A connection that is ready, and comes back by itself after an outage. Errors: ClientError `connection` if Redis is not
 * ready within `connectTimeoutMs`; then nothing is left open.
 */
export async function openRedis(settings: ClientSettings, onBreak: OnBreak): Promise<Redis> {
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

function construct(address: ClientSettings['redis'], onBreak: OnBreak): Redis {
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
  return new Redis({ ...address, ...options });
}

function ready(redis: Redis, settings: ClientSettings, last: { readonly error: unknown }): Promise<void> {
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
