import { type Job, type JobJson, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq';
import { parseJobText } from '../protocol/job-text.ts';
import type { ProtocolLimits } from '../protocol/limits.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { addressOf, type ReplyAddress } from '../protocol/reply-address.ts';
import { checkJobFields } from './job-fields.ts';
import { keepRepliesWhole } from './whole-replies.ts';

/** Why a job's data was not looked at. */
export interface DataRefusal {
  readonly error: ProtocolError;
  /** Bytes of the data in Redis. */
  readonly size: number;
  /** Whom to tell, where that could still be read. */
  readonly address: ReplyAddress | undefined;
}

export type JobWork = (job: Job, token: string) => Promise<void>;

/** Data above this size is not parsed, not even to find out whom to tell. */
const parsedBytesMax = 16_777_216;

/**
 * A BullMQ worker that no job can hurt.
 *
 * BullMQ parses a job's data while it fetches: data that is not JSON throws there, the job stays active, stalls, is
 * fetched again, for ever; 100 MB are parsed whole. Here such data is put aside unread, and the job comes to the
 * processor with a refusal.
 *
 * So does a job whose other fields cannot be used (`job-fields.ts`).
 *
 * A job whose work was done but whose completion Redis refused is left active instead of being moved to the failed
 * set: it is delivered again when its lock runs out, and its records are found stored.
 */
export class SafeWorker extends Worker<unknown, void> {
  readonly #limits: ProtocolLimits;
  readonly #refusals = new WeakMap<Job, DataRefusal>();
  readonly #sizes = new WeakMap<Job, number>();
  readonly #done = new WeakSet<Job>();
  #inHandCount = 0;
  /** Told of a job whose work was done, or failed, and which Redis does not let end. */
  unsettled: (job: Job, error: unknown) => void = () => {};

  constructor(queue: string, work: JobWork, limits: ProtocolLimits, options: WorkerOptions) {
    super(queue, (job, token) => work(job, token ?? ''), { ...options, autorun: false });
    keepRepliesWhole(this.getBackend());
    this.#limits = limits;
  }

  refusalOf(job: Job): DataRefusal | undefined {
    return this.#refusals.get(job);
  }

  /** Characters of the job's data in Redis. */
  sizeOf(job: Job): number {
    return this.#sizes.get(job) ?? 0;
  }

  /** Whether no job is worked on, or waits for Redis to take its completion. */
  get isIdle(): boolean {
    return this.#inHandCount === 0;
  }

  /**
   * Fetches no more and waits for the jobs in hand. While Redis is gone it waits for Redis.
   *
   * BullMQ breaks off the blocking fetch by disconnecting; done while that connection is between two attempts to
   * connect, it waits for ever. So the connection is let come back first.
   */
  async drain(): Promise<void> {
    const blocking = await this.getBackend().blockingClient;
    if (blocking !== undefined && blocking.status !== 'ready') {
      await new Promise<void>((resolve) => {
        blocking.once('ready', () => resolve());
      });
    }
    await this.close();
  }

  /**
   * Lets go of timers and connections without waiting for anything; for a Redis that does not come back. BullMQ's own
   * close, forced or not, waits for connections that have never been ready.
   */
  async abandon(): Promise<void> {
    await this.lockManager.close();
    void this.close(true).catch(() => {});
    void this.getBackend()
      .disconnectBlocking(false)
      .catch(() => {});
  }

  override async processJob(
    ...args: Parameters<Worker<unknown, void>['processJob']>
  ): ReturnType<Worker<unknown, void>['processJob']> {
    this.#inHandCount += 1;
    try {
      return await super.processJob(...args);
    } finally {
      this.#inHandCount -= 1;
    }
  }

  protected override createJob(json: JobJson, jobId: string): Job<unknown, void> {
    const job = super.createJob({ ...json, data: '{}' }, jobId);
    this.#sizes.set(job, json.data.length);
    try {
      job.data = parseJobText(json.data, this.#limits);
      checkJobFields(json);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const size = Buffer.byteLength(json.data);
      this.#refusals.set(job, { error, size, address: this.#addressIn(json.data, size) });
    }
    return job;
  }

  /** A job whose repetition cannot be scheduled is a job all the same; BullMQ by itself would drop it in our hands. */
  protected override async nextJobFromJobData(
    json?: JobJson,
    jobId?: string,
    token?: string,
  ): Promise<Job<unknown, void>> {
    const job = await super.nextJobFromJobData(json, jobId, token);
    if (job !== undefined || !json?.repeatJobKey || jobId === undefined) return job;
    const { repeatJobKey: _, ...alone } = json;
    return super.nextJobFromJobData(alone, jobId, token);
  }

  protected override async callProcessJob(job: Job<unknown, void>, token: string, signal?: AbortSignal): Promise<void> {
    await super.callProcessJob(job, token, signal);
    this.#done.add(job);
  }

  protected override async handleFailed(
    ...args: Parameters<Worker<unknown, void>['handleFailed']>
  ): ReturnType<Worker<unknown, void>['handleFailed']> {
    const [error, job] = args;
    if (!this.#done.has(job)) return this.#fail(args);
    this.emit('error', error);
    this.unsettled(job, error);
    return undefined as unknown as Job<unknown, void>;
  }

  async #fail(args: Parameters<Worker<unknown, void>['handleFailed']>): Promise<Job<unknown, void>> {
    try {
      // BullMQ's type leaves out that there may be no next job.
      return (await super.handleFailed(...args)) as Job<unknown, void>;
    } catch (error) {
      this.unsettled(args[1], error);
      throw error;
    }
  }

  #addressIn(text: string, size: number): ReplyAddress | undefined {
    if (size > parsedBytesMax) return undefined;
    try {
      return addressOf(JSON.parse(text), this.#limits);
    } catch {
      return undefined;
    }
  }
}

/** The error with which a job goes to the failed set at once, whatever its producer's settings for retries. */
export function refusedJob(code: string, message: string): UnrecoverableError {
  return new UnrecoverableError(`${code}: ${message}`);
}
