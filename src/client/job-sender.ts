import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { messageOf } from '../base/errors.ts';
import type { LookupWire } from '../protocol/lookup-job.ts';
import { jobNames, lookupQueueName, putQueueName, queuePrefix } from '../protocol/names.ts';
import type { PutWire } from '../protocol/put-job.ts';
import { Backlog, pause } from './backlog.ts';
import type { PendingCall } from './call.ts';
import { ClientError } from './client-error.ts';
import type { RedisConnection } from './connection.ts';
import type { ClientSettings } from './settings.ts';

const eventCountMax = 100;
const retryDelayMs = 250;
const busy = /^(?:OOM|MISCONF|LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN)\b/;

const lost = /max retries per request|Connection is closed/;

/**
 * Puts jobs on the shards' queues.
 *
 * Adding is tried again until the call is settled: while Redis refuses writes for a reason that passes, and after the
 * connection broke. In the latter case the job may be in Redis already. It keeps its BullMQ id, which makes a second one
 * impossible while the first is there; and a put says from then on that it is a repetition, because the first may have
 * been carried out and be gone.
 */
export class JobSender {
  readonly #redis: RedisConnection;
  readonly #sending: RedisConnection;
  readonly #settings: ClientSettings;
  readonly #queues = new Map<string, Queue>();
  readonly #backlogs = new Map<number, Backlog>();
  #unsentCount = 0;

  /** `sending` is a connection that rejects what it has not heard of when it breaks. */
  constructor(redis: RedisConnection, sending: RedisConnection, settings: ClientSettings) {
    this.#redis = redis;
    this.#sending = sending;
    this.#settings = settings;
  }

  /** Adds a put job when there is room for it. A failure rejects the call. */
  async sendPut(shard: number, job: PutWire, call: PendingCall): Promise<void> {
    await this.#guard(call, async () => {
      await this.#backlog(shard).admit(call);
      await this.#add(this.#queue(putQueueName(this.#settings.archive, shard)), jobNames.put, job, call, {
        ...job,
        repeat: true,
      });
    });
  }

  /** Adds a lookup job. A failure rejects the call. */
  async sendLookup(shard: number, job: LookupWire, call: PendingCall): Promise<void> {
    await this.#guard(call, async () => {
      await this.#add(this.#queue(lookupQueueName(this.#settings.archive, shard)), jobNames.lookup, job, call, job);
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

  async #add(queue: Queue, name: string, job: object, call: PendingCall, repetition: object): Promise<void> {
    const jobId = `${name}-${randomUUID()}`;
    let current = job;
    while (!call.settled) {
      try {
        await queue.add(name, current, { jobId });
        call.expectAnswer();
        return;
      } catch (error) {
        if (lost.test(messageOf(error))) current = repetition;
        else this.#expectPassing(error, call);
      }
      await pause(this.#settings.clock, retryDelayMs, call);
    }
  }

  /** Throws an error that does not pass by itself; and one that does, if the client does not wait. */
  #expectPassing(error: unknown, call: PendingCall): void {
    if (!busy.test(messageOf(error)) || this.#settings.whenBacklogFull === 'refuse') throw redisError(error);
    call.expect(() => redisError(error));
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
      connection: this.#sending,
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
