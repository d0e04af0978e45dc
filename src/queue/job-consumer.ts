import type { Job, WorkerOptions } from 'bullmq';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { ProtocolLimits } from '../protocol/limits.ts';
import { queuePrefix } from '../protocol/names.ts';
import type { WireError } from '../protocol/protocol-error.ts';
import { dropConnection, type RedisConnection } from './connection.ts';
import { Intake } from './intake.ts';
import { IntakeWidth } from './intake-width.ts';
import { isBrokenScript, mendFetched, mendJob, restoreJob } from './job-fields.ts';
import { guardedObserver, type QueueObserver } from './queue-observer.ts';
import { troubleOf } from './redis-trouble.ts';
import { type DataRefusal, type JobWork, refusedJob, SafeWorker } from './safe-worker.ts';
import type { ThrottledLog } from './throttled-log.ts';
import { within } from './within.ts';

export interface ConsumerSettings {
  readonly queue: string;
  /** Jobs in hand at once, at most. */
  readonly concurrency: number;
  /** Bytes of JSON of the jobs in hand, about. */
  readonly bytesInHandMax: number;
  readonly limits: ProtocolLimits;
  /** How long a fetched job stays ours without renewal. */
  readonly lockDurationMs: number;
  /** Time between two looks for jobs whose worker died. */
  readonly stalledIntervalMs: number;
  /** Refused jobs that are kept, by number and age. */
  readonly failedCountMax: number;
  readonly failedAgeMaxS: number;
}

export interface ConsumerDeps {
  /** Of this consumer alone, so that a large job does not hold up other queues; closed with it. */
  readonly connection: RedisConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ThrottledLog;
  readonly observer: QueueObserver;
}

/** There is no "never": BullMQ fails a job for good once it stalled more often than this. */
const stalledCountMax = 1_000_000;
const blockingS = 5;
const runRetryDelayMs = 1000;

/**
 * A BullMQ worker with the settings that were measured, under our control.
 *
 * States: built → `run` → running ⇄ paused (by its intake) → `close` → closed. Nothing is fetched before `run`.
 * A job that is fetched is ours until its work settles: completed when it resolves, failed when it rejects.
 */
export class JobConsumer {
  readonly intake: Intake;
  readonly #settings: ConsumerSettings;
  readonly #deps: ConsumerDeps;
  readonly #worker: SafeWorker;
  #started = false;
  #toMend = false;
  #mending: Promise<void> | undefined;
  #closing: Promise<boolean> | undefined;

  constructor(settings: ConsumerSettings, deps: ConsumerDeps, work: JobWork) {
    this.#settings = settings;
    this.#deps = { ...deps, observer: guardedObserver(deps.observer, deps.log) };
    const limits = { countMax: settings.concurrency, bytesMax: settings.bytesInHandMax };
    const width = new IntakeWidth(limits, (count) => {
      this.#worker.concurrency = count;
    });
    const claimed: JobWork = async (job, token) => {
      width.fetched(this.#worker.sizeOf(job));
      try {
        await work(claim(job, settings), token);
      } finally {
        width.settled();
      }
    };
    const options = { ...workerOptions(settings, deps.connection), concurrency: width.width };
    this.#worker = new SafeWorker(settings.queue, claimed, settings.limits, options);
    const pausable = {
      pause: async (doNotWait: boolean): Promise<void> => (this.#started ? this.#worker.pause(doNotWait) : undefined),
      resume: async (): Promise<void> => (this.#started ? this.#worker.resume() : undefined),
    };
    this.intake = new Intake(pausable, deps);
    this.#worker.on('drained', () => width.drained());
    this.#worker.on('error', (error) => this.#report(error));
    this.#worker.unsettled = (job, error) => void this.#restore(job, error);
    this.#worker.on('stalled', () => this.#deps.observer.jobStalled());
  }

  /** Begins to fetch. */
  run(): void {
    this.#started = true;
    const paused = this.intake.reasons.length > 0;
    const started = paused ? this.#worker.pause(true) : this.#worker.run();
    started.catch((error: unknown) => this.#report(error));
  }

  /** Why the job's data cannot be read, if it cannot. */
  refusalOf(job: Job): DataRefusal | undefined {
    return this.#worker.refusalOf(job);
  }

  /**
   * Fails the job for good, with its reason. Data above the limit does not stay in Redis: only its size does.
   */
  async fail(job: Job, error: WireError): Promise<never> {
    const unread = this.refusalOf(job);
    // Or else the script that moves it to the failed set breaks off halfway.
    if (unread?.error.code === 'invalid-field') {
      await mendJob(this.#deps.connection, { queueKey: this.#keyOf(''), id: job.id ?? '', fails: false });
    }
    if (unread !== undefined && unread.size > this.#settings.limits.jobBytesMax) {
      await job.updateData({ refused: error.code, bytes: unread.size });
    }
    throw refusedJob(error.code, error.message);
  }

  /**
   * Fetches no more, waits for the jobs in hand, and lets go of Redis. Resolves to whether all of them settled; after
   * `timeoutMs` it lets go regardless (a BullMQ worker by itself waits for a lost Redis for ever), and what was not
   * settled is delivered again when its lock runs out. With nothing in hand a lost Redis is not waited for. A second call
   * gives the same promise.
   */
  close(timeoutMs: number): Promise<boolean> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<boolean> {
    this.intake.stop();
    if (this.#worker.isIdle && this.#deps.connection.status !== 'ready') {
      await this.#abandon();
      return true;
    }
    const drained = this.#worker.drain().then(() => true);
    const clean = (await within(this.#deps.clock, timeoutMs, drained)) ?? false;
    if (!clean) {
      this.#deps.log.warn({ queue: this.#settings.queue, timeoutMs }, 'consumer-abandoned');
      await this.#abandon();
    }
    dropConnection(this.#deps.connection);
    return clean;
  }

  async #abandon(): Promise<void> {
    dropConnection(this.#deps.connection);
    await this.#worker.abandon();
  }

  #report(error: unknown): void {
    const trouble = troubleOf(error);
    this.#deps.observer.redisTrouble(trouble);
    this.intake.report(error);
    // It may be about a job that BullMQ could not even hand over.
    if (trouble !== 'other') return;
    this.#toMend = true;
    this.#mending ??= this.#mend();
  }

  /** An error that comes meanwhile may be about a job that was not looked at yet: then once more. */
  async #mend(): Promise<void> {
    const { connection, log } = this.#deps;
    while (this.#toMend) {
      this.#toMend = false;
      try {
        const count = await mendFetched(connection, this.#keyOf(''));
        if (count > 0) log.warn({ queue: this.#settings.queue, count }, 'broken-jobs');
      } catch (error) {
        log.warn({ error }, 'broken-jobs-not-mended');
      }
    }
    this.#mending = undefined;
  }

  /** A job that the script which ends it has dropped. Never rejects. */
  async #restore(job: Job, error: unknown): Promise<void> {
    if (job.id === undefined || !isBrokenScript(error)) return;
    const { connection, log } = this.#deps;
    try {
      const isChanged = await restoreJob(connection, { queueKey: this.#keyOf(''), id: job.id });
      if (isChanged) log.warn({ queue: this.#settings.queue, count: 1 }, 'broken-jobs');
    } catch (failure) {
      log.warn({ error: failure }, 'broken-jobs-not-mended');
    }
  }

  #keyOf(jobId: string): string {
    return `${queuePrefix}:${this.#settings.queue}:${jobId}`;
  }
}

/** How BullMQ is to work: the settings that were measured. */
export function workerOptions(
  settings: Omit<ConsumerSettings, 'bytesInHandMax'>,
  connection: RedisConnection,
): WorkerOptions {
  return {
    connection,
    prefix: queuePrefix,
    concurrency: settings.concurrency,
    lockDuration: settings.lockDurationMs,
    stalledInterval: settings.stalledIntervalMs,
    maxStalledCount: stalledCountMax,
    drainDelay: blockingS,
    runRetryDelay: runRetryDelayMs,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: settings.failedCountMax, age: settings.failedAgeMaxS },
    skipVersionCheck: true,
  };
}

/** What a producer asked for must not fill Redis or repeat a refused job: our own settings count. */
function claim(job: Job, settings: ConsumerSettings): Job {
  job.opts.attempts = 1;
  job.opts.removeOnComplete = true;
  job.opts.removeOnFail = { count: settings.failedCountMax, age: settings.failedAgeMaxS };
  job.opts.stackTraceLimit = 0;
  return job;
}
