import { type Clock, systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { type Logger, silentLogger } from '../base/logger.ts';
import type { Client } from '../client/client.ts';
import type { RedisAddress } from '../client/settings.ts';
import { defaultLimits } from '../protocol/limits.ts';
import { type StayReason, stayReasons } from './job-snapshot.ts';
import { JobsError, whole } from './jobs-error.ts';
import { Pace, pause } from './pace.ts';
import { type FinishedState, finishedStates, type QueueAddress, queueAddress } from './queue-address.ts';
import { type PassSettings, runPass } from './queue-pass.ts';
import { QueueRedis } from './queue-redis.ts';

/** A queue by its name, or a BullMQ `Queue`, which knows its prefix. */
export type QueueRef = string | { readonly name: string; readonly opts?: { readonly prefix?: string | undefined } };

export interface ArchiveJobsOptions {
  /** The queue, or several, which are worked on one after the other. */
  readonly queue: QueueRef | readonly QueueRef[];
  /** BullMQ's prefix of queues that are given by name. Default: `bull`. */
  readonly prefix?: string | undefined;
  /** The Redis that the queue lives in; a connection of its own is opened. */
  readonly redis: string | RedisAddress;
  /** A client of the archive. It stays open. A dry run needs none. */
  readonly client?: Pick<Client, 'put' | 'lookupMany'> | undefined;
  /** Default: both. */
  readonly states?: readonly FinishedState[] | undefined;
  /** Only jobs that finished so long ago. Default: 0. */
  readonly olderThanMs?: number | undefined;
  /** So many of the newest of each queue and state stay in Redis. Default: 0. */
  readonly keepCount?: number | undefined;
  /** Jobs a second at most. Default: no bound. */
  readonly jobsPerSecondMax?: number | undefined;
  /** Time between the receipt of a job's records and its removal. Default: 5 seconds. */
  readonly marginMs?: number | undefined;
  /** Only count what would be done. Default: false. */
  readonly dryRun?: boolean | undefined;
  /** Start anew so long after the end of each pass, until the signal aborts. A pass that fails is told and tried again. */
  readonly watchIntervalMs?: number | undefined;
  /** Ends it: what is in the archive and not yet removed stays in Redis for the next time. */
  readonly signal?: AbortSignal | undefined;
  /** How long the Redis of the queue may take to answer at first. Default: 10 seconds. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long a killed archiver keeps others from its queue. Default: 15 seconds. */
  readonly leaseMs?: number | undefined;
  /** How long to wait for another archiver of the queue to end, or for its lease to. Default: 0. */
  readonly busyWaitMs?: number | undefined;
  /** The archive's limit of a value, where it is not the default; larger jobs are archived in parts. */
  readonly valueBytesMax?: number | undefined;
  /** Larger jobs are left alone. Default and greatest: 32 MiB. */
  readonly jobBytesMax?: number | undefined;
  /** Jobs that are read together. Default: 100. */
  readonly pageCount?: number | undefined;
  readonly onProgress?: ((progress: ArchiveJobsProgress) => void) | undefined;
  /** Told of jobs that stay although they should leave, and of passes that failed and are tried again. */
  readonly onProblem?: ((problem: ArchiveJobsProblem) => void) | undefined;
}

export interface ArchiveJobsProgress extends ArchiveJobsSummary {
  /** Jobs that the passes so far were to meet, about. */
  readonly expectedCount: number;
}

export type ArchiveJobsProblem =
  | {
      readonly kind: 'job';
      readonly queue: string;
      readonly id: string;
      readonly reason: StayReason;
      readonly message: string;
    }
  | { readonly kind: 'pass'; readonly queue: string; readonly error: unknown };

export interface ArchiveJobsSummary {
  /** Finished jobs that were looked at. */
  readonly metCount: number;
  /** Those among them that might leave. */
  readonly readyCount: number;
  /** Bytes that those take in Redis, about. */
  readonly readyBytes: number;
  /** Jobs that are on disk now and were not before. */
  readonly archivedCount: number;
  /** Jobs that were in the archive already. */
  readonly unchangedCount: number;
  /** Bytes of the records of both. */
  readonly archivedBytes: number;
  readonly removedCount: number;
  /** Jobs that stay in Redis, by reason. */
  readonly stays: Readonly<Record<StayReason, number>>;
  /** Passes over all queues that came to their end. */
  readonly passCount: number;
}

/** What the surroundings give; the defaults are right outside tests. */
export interface ArchiveJobsDependencies {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

const dayMs = 86_400_000;
const jobBytesLimit = 32 * 1024 * 1024;

/**
 * Moves finished jobs of BullMQ queues into the archive: each becomes a record, and leaves Redis once the record is on
 * disk, the margin has passed, and the archive has given it back; unless the job changed meanwhile or something still
 * needs it. Ended at any moment, even by SIGKILL, it loses nothing and leaves nothing removed that is not archived; the
 * next call goes on from there.
 *
 * Resolves when all queues are done, or with `watchIntervalMs` when the signal aborts. Errors: JobsError, ClientError.
 */
export async function archiveFinishedJobs(
  options: ArchiveJobsOptions,
  dependencies: ArchiveJobsDependencies = {},
): Promise<ArchiveJobsSummary> {
  const { clock = systemClock, logger = silentLogger } = dependencies;
  const queues = addressesOf(options);
  const settings = settle(options);
  if (options.client === undefined && options.dryRun !== true)
    throw new JobsError('invalid-options', 'without a client only a dry run is possible');
  const pace = new Pace(clock, wholeIfGiven('jobsPerSecondMax', options.jobsPerSecondMax, 1_000_000));
  const watchIntervalMs = wholeIfGiven('watchIntervalMs', options.watchIntervalMs, 365 * dayMs);
  const timeoutMs = whole('connectTimeoutMs', options.connectTimeoutMs ?? 10_000, 1, dayMs);
  const redis = await QueueRedis.open(options.redis, clock, timeoutMs);
  try {
    const archiver = new Archiver({ options, settings, redis, clock, logger, pace });
    do {
      for (const address of queues) await archiver.pass(address, watchIntervalMs !== undefined);
      if (watchIntervalMs !== undefined) await pause(clock, watchIntervalMs, options.signal);
    } while (watchIntervalMs !== undefined && options.signal?.aborted !== true);
    return archiver.summary;
  } finally {
    redis.close();
  }
}

interface ArchiverParts {
  readonly options: ArchiveJobsOptions;
  readonly settings: PassSettings;
  readonly redis: QueueRedis;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pace: Pace;
}

class Archiver {
  readonly #parts: ArchiverParts;
  readonly #counts = {
    ...{ metCount: 0, readyCount: 0, readyBytes: 0, archivedCount: 0, unchangedCount: 0 },
    ...{ archivedBytes: 0, removedCount: 0, passCount: 0, expectedCount: 0 },
  };
  readonly #stays = noStays();

  constructor(parts: ArchiverParts) {
    this.#parts = parts;
  }

  get summary(): ArchiveJobsSummary {
    const { expectedCount: _, ...counts } = this.#counts;
    return { ...counts, stays: { ...this.#stays } };
  }

  /** One pass over a queue. With `goOn` a failure is told only. */
  async pass(address: QueueAddress, goOn: boolean): Promise<void> {
    const { options, settings, redis, clock, pace, logger } = this.#parts;
    if (options.signal?.aborted === true) return;
    const counts = this.#counts;
    try {
      await runPass(address, settings, {
        ...{ redis, clock, pace, signal: options.signal },
        client: options.dryRun === true ? undefined : options.client,
        expected: (count) => this.#step(() => (counts.expectedCount += count)),
        met: (bytes) => this.#onMet(bytes),
        archived: ({ unchanged, bytes }) =>
          this.#step(() => {
            counts[unchanged ? 'unchangedCount' : 'archivedCount']++;
            counts.archivedBytes += bytes;
          }),
        removed: () => this.#step(() => counts.removedCount++),
        stays: (id, reason, message) => this.#onStay(address.queue, id, reason, message),
      });
      counts.passCount++;
    } catch (error) {
      if (!goOn) throw error;
      logger.warn({ queue: address.queue, error: messageOf(error) }, 'archive-jobs-pass-failed');
      options.onProblem?.({ kind: 'pass', queue: address.queue, error });
    }
  }

  #onMet(bytes: number | undefined): void {
    this.#step(() => {
      this.#counts.metCount++;
      if (bytes === undefined) return;
      this.#counts.readyCount++;
      this.#counts.readyBytes += bytes;
    });
  }

  #onStay(queue: string, id: string, reason: StayReason, message: string | undefined): void {
    this.#step(() => this.#stays[reason]++);
    const text = message ?? messages[reason];
    // The others are as it should be: there is nothing for anybody to do.
    if (text !== undefined) this.#parts.options.onProblem?.({ kind: 'job', queue, id, reason, message: text });
  }

  #step(count: () => void): void {
    count();
    this.#parts.options.onProgress?.({ ...this.#counts, stays: this.#stays });
  }
}

const messages: Readonly<Partial<Record<StayReason, string>>> = {
  refused: 'its id is not UTF-8, or the time at which it ended is no number',
  unconfirmed: 'the archive did not give it back after its receipt',
};

function noStays(): Record<StayReason, number> {
  return Object.fromEntries(stayReasons.map((reason) => [reason, 0])) as Record<StayReason, number>;
}

function addressesOf({ queue, prefix }: ArchiveJobsOptions): readonly QueueAddress[] {
  const refs = isList(queue) ? queue : [queue];
  if (refs.length === 0) throw new JobsError('invalid-options', 'no queue is named');
  return refs.map((ref) =>
    typeof ref === 'string' ? queueAddress(ref, prefix) : queueAddress(ref.name, ref.opts?.prefix ?? prefix),
  );
}

function isList(queue: QueueRef | readonly QueueRef[]): queue is readonly QueueRef[] {
  return Array.isArray(queue);
}

function wholeIfGiven(option: string, value: number | undefined, max: number): number | undefined {
  return value === undefined ? undefined : whole(option, value, 1, max);
}

function settle(options: ArchiveJobsOptions): PassSettings {
  const states = options.states ?? finishedStates;
  if (states.length === 0 || !states.every((state) => finishedStates.includes(state)))
    throw new JobsError('invalid-options', `states are among ${finishedStates.join(' and ')}`);
  return {
    states,
    olderThanMs: whole('olderThanMs', options.olderThanMs ?? 0, 0, 100_000 * dayMs),
    keepCount: whole('keepCount', options.keepCount ?? 0, 0, 1_000_000_000),
    marginMs: whole('marginMs', options.marginMs ?? 5000, 0, dayMs),
    leaseMs: whole('leaseMs', options.leaseMs ?? 15_000, 100, dayMs),
    busyWaitMs: whole('busyWaitMs', options.busyWaitMs ?? 0, 0, dayMs),
    pageCount: whole('pageCount', options.pageCount ?? 100, 1, 10_000),
    valueBytesMax: whole('valueBytesMax', options.valueBytesMax ?? defaultLimits.valueBytesMax, 1024, jobBytesLimit),
    jobBytesMax: whole('jobBytesMax', options.jobBytesMax ?? jobBytesLimit, 1024, jobBytesLimit),
  };
}
