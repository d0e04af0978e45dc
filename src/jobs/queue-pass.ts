/**
 * One pass over the finished jobs of one queue: read, archive, wait out the margin, remove.
 *
 * States: reading → draining (read to the end, aborted, or failed) → done. Memory is bounded: a page is read in groups, each
 * of which waits until those on their way are few and small enough, and only a job's id and digest are kept until its
 * removal. Whatever happens, a job leaves Redis only through `JobRemover`; one that was archived and not removed is met
 * again by the next pass, which finds its records unchanged.
 */
import type { Clock } from '../base/clock.ts';
import { type FinishedId, FinishedJobs, type PassBounds } from './finished-jobs.ts';
import { JobRemover, type RemovalOutcome } from './job-remover.ts';
import type { JobSnapshot, StayReason } from './job-snapshot.ts';
import { JobWriter, type WriteOutcome } from './job-writer.ts';
import type { Pace } from './pace.ts';
import type { FinishedState, QueueAddress } from './queue-address.ts';
import { QueueLease } from './queue-lease.ts';
import type { QueueRedis } from './queue-redis.ts';
import type { ArchiveClient } from './record-putter.ts';

export interface PassSettings {
  readonly states: readonly FinishedState[];
  readonly olderThanMs: number;
  readonly keepCount: number;
  readonly marginMs: number;
  readonly leaseMs: number;
  readonly busyWaitMs: number;
  readonly pageCount: number;
  readonly valueBytesMax: number;
  readonly jobBytesMax: number;
}

export interface PassPorts {
  readonly redis: QueueRedis;
  /** Undefined: only look. */
  readonly client: ArchiveClient | undefined;
  readonly clock: Clock;
  readonly pace: Pace;
  readonly signal: AbortSignal | undefined;
  /** Told how many jobs the pass will meet, about. */
  expected(count: number): void;
  /** Told of each job that is met; of one that may leave with the bytes that it takes in Redis, about. */
  met(bytes: number | undefined): void;
  archived(outcome: Extract<WriteOutcome, { kind: 'archived' }>): void;
  removed(): void;
  stays(id: string, reason: StayReason, message?: string): void;
}

/** Groups of jobs that are on their way into the archive at once, and the bytes of all of them together. */
const writesMax = 6;
const writeBytesMax = 64 * 1024 * 1024;

/** Runs the pass. Errors: JobsError, or the client's; what was removed until then is in the archive. */
export async function runPass(address: QueueAddress, settings: PassSettings, ports: PassPorts): Promise<void> {
  const { client, redis, clock, signal } = ports;
  if (client === undefined) return new QueuePass(address, settings, ports).run();
  const lease = await QueueLease.take(redis, address, clock, { ...settings, signal });
  try {
    await new QueuePass(address, settings, ports, { client, lease }).run();
  } finally {
    await lease.release();
  }
}

interface Ways {
  readonly client: ArchiveClient;
  readonly lease: QueueLease;
}

class QueuePass {
  readonly #address: QueueAddress;
  readonly #settings: PassSettings;
  readonly #ports: PassPorts;
  readonly #writer: JobWriter | undefined;
  readonly #remover: JobRemover | undefined;
  readonly #writes = new Set<Promise<void>>();
  #writeBytes = 0;
  #removal: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(address: QueueAddress, settings: PassSettings, ports: PassPorts, ways?: Ways) {
    this.#address = address;
    this.#settings = settings;
    this.#ports = ports;
    if (ways === undefined) return;
    const { redis, clock, signal } = ports;
    const told = (outcome: RemovalOutcome): void => this.#onRemoval(outcome);
    this.#writer = new JobWriter(address, ways.client, { valueBytesMax: settings.valueBytesMax, signal });
    this.#remover = new JobRemover(address, settings.marginMs, { redis, ...ways, clock, signal, told });
  }

  async run(): Promise<void> {
    const { redis, signal, clock } = this.#ports;
    const { states, jobBytesMax, olderThanMs, keepCount } = this.#settings;
    const bounds = { finishedMsMax: clock.wallMs() - olderThanMs, keepCount };
    const sets = states.map((state) => new FinishedJobs(redis, this.#address, state, jobBytesMax));
    const counts = await Promise.all(sets.map((jobs) => jobs.count(bounds)));
    this.#ports.expected(counts.reduce((sum, count) => sum + count, 0));
    try {
      for (const jobs of sets) await this.#read(jobs, bounds);
    } catch (error) {
      this.#failure ??= { error };
    }
    await Promise.all(this.#writes);
    await this.#removal;
    if (this.#failure === undefined) await this.#remover?.removeAll().catch((error) => this.#fail(error));
    // A call that the signal ended is no failure.
    if (this.#failure !== undefined && signal?.aborted !== true) throw this.#failure.error;
  }

  async #read(jobs: FinishedJobs, bounds: PassBounds): Promise<void> {
    const { signal, pace } = this.#ports;
    for await (const page of jobs.pages(bounds, this.#settings.pageCount)) {
      await pace.take(page.length, signal);
      if (signal?.aborted === true) return;
      await this.#take(jobs, page);
      await this.#removeDue();
      if (this.#failure !== undefined) return;
    }
  }

  async #take(jobs: FinishedJobs, page: readonly FinishedId[]): Promise<void> {
    for await (const readings of jobs.read(page)) {
      const found: JobSnapshot[] = [];
      let bytes = 0;
      for (const reading of readings) {
        this.#ports.met(reading.kind === 'job' ? reading.bytes : undefined);
        if (reading.kind === 'stays') {
          this.#ports.stays(reading.id, reading.reason, sizeMessage(reading.bytes, this.#settings.jobBytesMax));
          continue;
        }
        found.push(reading.job);
        bytes += reading.bytes;
      }
      if (this.#writer !== undefined && found.length > 0) await this.#startWrite(this.#writer, found, bytes);
    }
  }

  /** Waits until there is room for the jobs, and lets them go. */
  async #startWrite(writer: JobWriter, jobs: readonly JobSnapshot[], bytes: number): Promise<void> {
    const hasRoom = (): boolean => this.#writes.size < writesMax && this.#writeBytes + bytes <= writeBytesMax;
    while (this.#writes.size > 0 && !hasRoom()) await Promise.race(this.#writes);
    this.#writeBytes += bytes;
    const write: Promise<void> = this.#write(writer, jobs)
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#writeBytes -= bytes;
        this.#writes.delete(write);
      });
    this.#writes.add(write);
  }

  async #write(writer: JobWriter, jobs: readonly JobSnapshot[]): Promise<void> {
    for (const outcome of await writer.write(jobs)) {
      if (outcome.kind === 'refused') {
        this.#ports.stays(outcome.job.id, 'refused', outcome.message);
        continue;
      }
      this.#ports.archived(outcome);
      this.#remover?.add(outcome);
    }
  }

  /** Removal goes on beside reading and archiving, which wait for it only when too many jobs wait to be removed. */
  async #removeDue(): Promise<void> {
    this.#removal ??= this.#remover
      ?.removeDue()
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#removal = undefined;
      });
    if (this.#remover?.isFull === true) await this.#removal;
  }

  #onRemoval(outcome: RemovalOutcome): void {
    if (outcome.kind === 'removed') this.#ports.removed();
    else this.#ports.stays(outcome.id, outcome.reason);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }
}

function sizeMessage(bytes: number | undefined, max: number): string | undefined {
  return bytes === undefined ? undefined : `${bytes} bytes, a job has at most ${max} (jobBytesMax)`;
}
