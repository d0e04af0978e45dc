/**
 * Removes archived jobs from Redis.
 *
 * A job waits here from its receipt until the margin has passed. Then the archive is asked for every record of it once
 * more, by key; only what is found, with the size that was sent, is removed, and only if the job is still the one that
 * was archived: that look and the removal are one script.
 */
import { present } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { jobKeys } from './finished-jobs.ts';
import type { JobSnapshot, StayReason } from './job-snapshot.ts';
import type { WriteOutcome, WrittenRecord } from './job-writer.ts';
import { JobsError } from './jobs-error.ts';
import { pause } from './pace.ts';
import type { QueueAddress } from './queue-address.ts';
import type { QueueLease } from './queue-lease.ts';
import type { QueueRedis } from './queue-redis.ts';
import type { ArchiveClient } from './record-putter.ts';
import { removeScript } from './scripts.ts';

export type Archived = Extract<WriteOutcome, { kind: 'archived' }>;

/** What became of a job that was to be removed. */
export type RemovalOutcome =
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'stays'; readonly id: string; readonly reason: StayReason };

export interface RemoverPorts {
  readonly redis: QueueRedis;
  readonly client: ArchiveClient;
  readonly lease: QueueLease;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  told(outcome: RemovalOutcome): void;
}

/** What is left of a job's snapshot while it waits. */
interface Waiting extends Pick<JobSnapshot, 'id' | 'state' | 'score' | 'digest'> {
  readonly records: readonly WrittenRecord[];
  readonly dueMs: number;
}

/** Jobs that may wait; with more of them archiving waits for removal. */
const waitingCountMax = 20_000;
const batchCount = 250;

export class JobRemover {
  readonly #address: QueueAddress;
  readonly #marginMs: number;
  readonly #ports: RemoverPorts;
  #waiting: Waiting[] = [];

  constructor(address: QueueAddress, marginMs: number, ports: RemoverPorts) {
    this.#address = address;
    this.#marginMs = marginMs;
    this.#ports = ports;
  }

  /** Jobs that are on disk and not removed yet. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  add({ job, records }: Archived): void {
    const { id, state, score, digest } = job;
    const dueMs = this.#ports.clock.monotonicMs() + this.#marginMs;
    this.#waiting.push({ id, state, score, digest, records, dueMs });
  }

  /** Whether so many wait that no more should be archived before some are removed. */
  get isFull(): boolean {
    return this.#waiting.length > waitingCountMax;
  }

  /** Removes those whose time has come, and waits for the next ones while it is full. */
  async removeDue(): Promise<void> {
    await this.#remove(waitingCountMax);
  }

  /** Removes all, each when its time has come. After an abort the rest stays, for the next pass. */
  async removeAll(): Promise<void> {
    await this.#remove(0);
  }

  async #remove(countMax: number): Promise<void> {
    const { clock, signal } = this.#ports;
    while (signal?.aborted !== true) {
      const due = this.#takeDue();
      if (due.length > 0) await this.#removeBatch(due);
      else if (this.#waiting.length <= countMax) return;
      else await pause(clock, present(this.#waiting[0], 'a job').dueMs - clock.monotonicMs(), signal);
    }
  }

  #takeDue(): readonly Waiting[] {
    const nowMs = this.#ports.clock.monotonicMs();
    const later = this.#waiting.findIndex(({ dueMs }) => dueMs > nowMs);
    const dueCount = later < 0 ? this.#waiting.length : later;
    return this.#waiting.splice(0, Math.min(dueCount, batchCount));
  }

  async #removeBatch(due: readonly Waiting[]): Promise<void> {
    const { redis, lease, told } = this.#ports;
    const confirmed: Waiting[] = [];
    for (const [index, found] of (await this.#confirmed(due)).entries()) {
      const waiting = present(due[index], 'a job');
      if (found) confirmed.push(waiting);
      else told({ kind: 'stays', id: waiting.id, reason: 'unconfirmed' });
    }
    const calls = confirmed.map(({ id, state, score, digest }) => ({
      keys: [...jobKeys(this.#address, state, id), lease.key],
      args: [id, score, digest, lease.token],
    }));
    const replies = await redis.run(removeScript, calls);
    for (const [index, reply] of replies.entries()) told(outcomeOf(present(confirmed[index], 'a job').id, reply));
  }

  /** Whether the archive gives back every record of a job, one answer a job. */
  async #confirmed(due: readonly Waiting[]): Promise<readonly boolean[]> {
    const { client, signal } = this.#ports;
    const keys = due.flatMap(({ records }) => records.map(({ key }) => key));
    const answers = await client.lookupMany(keys, { values: false, signal });
    let at = 0;
    return due.map(({ records }) => {
      const found = answers.slice(at, at + records.length);
      at += records.length;
      return records.every(({ size }, index) => {
        const answer = found[index];
        return answer?.outcome === 'found' && answer.size === size;
      });
    });
  }
}

function outcomeOf(id: string, reply: unknown): RemovalOutcome {
  const word = Buffer.isBuffer(reply) ? reply.toString() : '';
  if (word === 'removed') return { kind: 'removed', id };
  if (word === 'lost') {
    const message = 'another archiver took the queue over; what is archived stays archived, run again to go on';
    throw new JobsError('queue-lost', message, { retriable: true });
  }
  return { kind: 'stays', id, reason: word as StayReason };
}
