import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { messageOf } from '../base/errors.ts';
import type { LookupWire } from '../protocol/lookup-job.ts';
import { jobNames, lookupQueueName, putQueueName, queuePrefix } from '../protocol/names.ts';
import type { PutWire } from '../protocol/put-job.ts';
import { Backlog, pause } from './backlog.ts';
import type { PendingCall } from './call.ts';
import { ClientError } from './client-error.ts';
import type { ClientSettings } from './settings.ts';

const eventCountMax = 100;
const retryDelayMs = 250;
const busy = /^(?:OOM|MISCONF|LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN)\b/;

/**
 * Puts jobs on the shards' queues.
 *
 * A job keeps one BullMQ id over all attempts to add it, so that an attempt whose answer was lost does not double it.
 * While Redis refuses writes for a reason that passes, adding is tried again until the call is settled.
 */
export class JobSender {
  readonly #redis: Redis;
  readonly #settings: ClientSettings;
  readonly #queues = new Map<string, Queue>();
  readonly #backlogs = new Map<number, Backlog>();
  #unsentCount = 0;

  constructor(redis: Redis, settings: ClientSettings) {
    this.#redis = redis;
    this.#settings = settings;
  }

  /** Adds a put job when there is room for it. A failure rejects the call. */
  async sendPut(shard: number, job: PutWire, call: PendingCall): Promise<void> {
    await this.#guard(call, async () => {
      await this.#backlog(shard).admit(call);
      await this.#add(this.#queue(putQueueName(this.#settings.archive, shard)), jobNames.put, job, call);
    });
  }

  /** Adds a lookup job. A failure rejects the call. */
  async sendLookup(shard: number, job: LookupWire, call: PendingCall): Promise<void> {
    await this.#guard(call, async () => {
      await this.#add(this.#queue(lookupQueueName(this.#settings.archive, shard)), jobNames.lookup, job, call);
    });
  }

  /** Put jobs that wait on the shard's queue. */
  backlogCount(shard: number): Promise<number> {
    const queue = putQueueName(this.#settings.archive, shard);
    return this.#redis.llen(`${queuePrefix}:${queue}:wait`);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
  }

  async #guard(call: PendingCall, send: () => Promise<void>): Promise<void> {
    const max = this.#settings.callCountMax;
    if (this.#unsentCount >= max) {
      const message = `${this.#unsentCount} jobs wait for Redis, the limit callCountMax is ${max}`;
      const details = { limit: 'callCountMax', max, found: this.#unsentCount };
      call.reject(new ClientError('too-many-calls', message, { retriable: true, details }));
      return;
    }
    this.#unsentCount += 1;
    try {
      await send();
    } catch (error) {
      call.reject(error instanceof ClientError ? error : redisError(error));
    } finally {
      this.#unsentCount -= 1;
    }
  }

  async #add(queue: Queue, name: string, job: object, call: PendingCall): Promise<void> {
    const jobId = `${name}-${randomUUID()}`;
    while (!call.settled) {
      try {
        await queue.add(name, job, { jobId });
        call.expectAnswer();
        return;
      } catch (error) {
        if (!busy.test(messageOf(error))) throw error;
        if (this.#settings.whenBacklogFull === 'refuse') throw redisError(error);
        call.expect(() => redisError(error));
        await pause(this.#settings.clock, retryDelayMs, call);
      }
    }
  }

  #backlog(shard: number): Backlog {
    return obtain(this.#backlogs, shard, () => {
      const { backlogJobCountMax: jobCountMax, whenBacklogFull: whenFull, clock } = this.#settings;
      return new Backlog(() => this.backlogCount(shard), { jobCountMax, whenFull }, clock);
    });
  }

  #queue(name: string): Queue {
    return obtain(this.#queues, name, () => this.#openQueue(name));
  }

  #openQueue(name: string): Queue {
    const queue = new Queue(name, {
      connection: this.#redis,
      prefix: queuePrefix,
      // The worker looks at version and policy; in a producer BullMQ's own look prints to the console.
      skipVersionCheck: true,
      streams: { events: { maxLen: eventCountMax } },
      // The worker's settings decide what is kept of a failed job.
      defaultJobOptions: { attempts: 1, removeOnComplete: true, sizeLimit: this.#settings.limits.jobBytesMax },
    });
    queue.on('error', (error) => this.#settings.logger.debug({ error: messageOf(error) }, 'queue error'));
    return queue;
  }
}

function obtain<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function redisError(error: unknown): ClientError {
  const message = messageOf(error);
  if (message.startsWith('OOM')) {
    return new ClientError('backlog-full', 'Redis has no memory left for jobs', { retriable: true, cause: error });
  }
  const retriable = busy.test(message);
  if (message.includes('Connection is closed'))
    return new ClientError('connection', message, { retriable, cause: error });
  return new ClientError('redis', message, { retriable, cause: error });
}
