import { type Job, type JobJson, Queue, Worker } from 'bullmq';
import type { Timer } from '../base/clock.ts';
import { Counter } from '../base/counter.ts';
import { messageOf } from '../base/errors.ts';
import { type ClientId, queuePrefix, replyQueueName } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { decodeReplyMessage, type ReplyMessage } from '../protocol/reply-message.ts';
import type { RedisConnection } from './connection.ts';
import type { ClientSettings } from './settings.ts';

const concurrency = 16;
const lockDurationMs = 20_000;
const stalledIntervalMs = 5000;
/** Short, because a process that closes its client during an outage is kept by the wait that is under way. */
const blockSeconds = 1;
const runRetryDelayMs = 1000;
/** BullMQ has no "for ever"; a stall is a blip of the connection, no reason to lose an answer. */
const stalledCountMax = 1_000_000;
const pauseMs = 1000;
const busy = /\b(?:OOM|READONLY|MISCONF|LOADING)\b/;

/** A job whose data is not JSON would be fetched for ever: it becomes an empty message, which is dropped as malformed. */
class TolerantWorker extends Worker {
  protected override createJob(json: JobJson, jobId: string): Job {
    try {
      return super.createJob(json, jobId);
    } catch {
      return super.createJob({ ...json, data: '{}' }, jobId);
    }
  }
}

/**
 * Takes what arrives on the client's reply queue.
 *
 * States: running ⇄ paused (Redis refuses writes: without a pause BullMQ would spin) → stopped → removed from Redis.
 * Messages that break the contract are dropped and counted.
 */
export class ReplyWorker {
  /** Messages that were not what the contract says. */
  readonly malformed = new Counter();
  readonly #redis: RedisConnection;
  readonly #name: string;
  readonly #settings: ClientSettings;
  readonly #worker: Worker;
  #resumeTimer: Timer | undefined;
  #closed = false;

  constructor(
    redis: RedisConnection,
    client: ClientId,
    settings: ClientSettings,
    deliver: (message: ReplyMessage) => void,
  ) {
    this.#redis = redis;
    this.#name = replyQueueName(settings.archive, client);
    this.#settings = settings;
    this.#worker = new TolerantWorker(this.#name, async (job: Job) => this.#take(job.data, deliver), {
      connection: redis,
      prefix: queuePrefix,
      skipVersionCheck: true,
      ...{ concurrency, lockDuration: lockDurationMs, stalledInterval: stalledIntervalMs },
      ...{ maxStalledCount: stalledCountMax, drainDelay: blockSeconds, runRetryDelay: runRetryDelayMs },
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    this.#worker.on('error', (error) => this.#onError(error));
  }

  /** Resolves when answers can arrive. */
  async ready(): Promise<void> {
    await this.#worker.waitUntilReady();
  }

  /** Stops taking. Works without Redis too: nothing is worth waiting for, the queue goes away with what is in it. */
  async stop(): Promise<void> {
    this.#closed = true;
    this.#resumeTimer?.cancel();
    await this.#worker.close(true);
  }

  /** Removes the queue, after `stop`. During an outage it waits for Redis: the caller gives it a deadline. */
  async remove(): Promise<void> {
    const queue = new Queue(this.#name, {
      connection: this.#redis,
      prefix: queuePrefix,
      skipVersionCheck: true,
      skipMetasUpdate: true,
    });
    queue.on('error', (error) => this.#settings.logger.debug({ error: messageOf(error) }, 'reply queue error'));
    await queue.obliterate({ force: true });
    await queue.close();
  }

  #take(data: unknown, deliver: (message: ReplyMessage) => void): void {
    try {
      deliver(decodeReplyMessage(data));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.malformed.add();
      this.#settings.logger.warn({ code: error.code, ...error.details }, 'malformed reply dropped');
    }
  }

  #onError(error: Error): void {
    this.#settings.logger.debug({ error: messageOf(error) }, 'reply worker error');
    if (this.#closed || this.#resumeTimer !== undefined || !busy.test(messageOf(error))) return;
    this.#settings.logger.warn({ error: messageOf(error) }, 'reply worker paused');
    this.#resumeTimer = this.#settings.clock.after(pauseMs, () => void this.#resume());
    this.#worker.pause(true).catch(() => {});
  }

  async #resume(): Promise<void> {
    this.#resumeTimer = undefined;
    if (this.#closed) return;
    try {
      await this.#worker.resume();
    } catch (error) {
      this.#onError(error instanceof Error ? error : new Error(messageOf(error)));
    }
  }
}
