import { hash } from 'node:crypto';
import { Redis } from 'ioredis';
import { present } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { RedisAddress } from '../client/settings.ts';
import { JobsError } from './jobs-error.ts';

/** One use of a script. */
export interface ScriptCall {
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
}

const attemptTimeoutMs = 5000;
const retryDelayMsMax = 1000;
/** How often a command is sent again over outages before it fails: about so many seconds. */
const retryCountMax = 20;

/**
 * A connection to the Redis of a queue, which comes back after an outage, and the running of scripts over it.
 *
 * A command that was unanswered when the connection broke is sent again: every script here may run twice. Errors are
 * JobsErrors `queue-redis`.
 */
export class QueueRedis {
  readonly connection: Redis;

  private constructor(connection: Redis) {
    this.connection = connection;
  }

  /** A connection that is ready within the time, or JobsError `queue-redis` and nothing left open. */
  static async open(address: string | RedisAddress, clock: Clock, timeoutMs: number): Promise<QueueRedis> {
    const options = {
      maxRetriesPerRequest: retryCountMax,
      connectTimeout: attemptTimeoutMs,
      retryStrategy: (attempt: number) => Math.min(100 * 2 ** attempt, retryDelayMsMax),
    };
    const redis = typeof address === 'string' ? new Redis(address, options) : new Redis({ ...address, ...options });
    const last: { error: unknown } = { error: undefined };
    redis.on('error', (error: unknown) => {
      last.error = error;
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = clock.after(timeoutMs, () => reject(failure(last.error ?? `no answer within ${timeoutMs} ms`)));
    redis.once('ready', resolve);
    try {
      await promise;
      return new QueueRedis(redis);
    } catch (error) {
      redis.disconnect();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  close(): void {
    this.connection.disconnect();
  }

  /** The reply to each call, in their order. Redis may run other commands between two of them. */
  async run(script: string, calls: readonly ScriptCall[]): Promise<readonly unknown[]> {
    if (calls.length === 0) return [];
    const replies = await this.#send(script, calls);
    const unknown = replies.flatMap((reply, index) => (isUnknownScript(reply) ? [index] : []));
    if (unknown.length > 0) {
      // Redis is new or was restarted. The first one goes with its text, so that the others find it.
      await this.#guard(() => this.connection.call('SCRIPT', ['LOAD', script]));
      const again = await this.#send(
        script,
        unknown.map((index) => present(calls[index], 'a call')),
      );
      for (const [at, index] of unknown.entries()) replies[index] = again[at];
    }
    for (const reply of replies) if (reply instanceof Error) throw failure(reply);
    return replies;
  }

  /** The reply to one call. */
  async runOne(script: string, call: ScriptCall): Promise<unknown> {
    const [reply] = await this.run(script, [call]);
    return reply;
  }

  async #send(script: string, calls: readonly ScriptCall[]): Promise<unknown[]> {
    const pipeline = this.connection.pipeline();
    const sha = hash('sha1', script);
    for (const { keys, args } of calls) pipeline.callBuffer('EVALSHA', [sha, keys.length, ...keys, ...args]);
    const results = await this.#guard(() => pipeline.exec());
    return (results ?? []).map(([error, reply]) => error ?? reply);
  }

  async #guard<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw failure(error);
    }
  }
}

function isUnknownScript(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith('NOSCRIPT');
}

function failure(reason: unknown): JobsError {
  return new JobsError('queue-redis', `the Redis of the queue: ${messageOf(reason)}`, {
    retriable: true,
    cause: reason,
  });
}
