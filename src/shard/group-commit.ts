/**
 * Group commit: many puts share one fsync round.
 *
 * Two loops run side by side. *Appending* takes waiting puts in their order and appends them to memory. *Rounds* make
 * durable what was appended: a commit, or a sync when one is due. While a round waits for the disk the next puts
 * collect, so the disk is busy as long as there is something to do.
 *
 * A commit starts when the oldest put has waited `commitDelayMs`, or the bytes, records or number of appended puts reach
 * their limit, or the shard drains. A put settles when the committed end of the journals covers every record that its outcome rests on.
 *
 * States: running → stopped (a write failed: both loops end, nothing is settled any more) → running with another
 * store. A stop keeps all puts; those that were appended wait again, as redelivered, before the others.
 */
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { appendBatch } from './append-batch.ts';
import type { PendingPut } from './pending-put.ts';
import type { ShardSettings } from './settings.ts';
import { ShardError } from './shard-error.ts';
import { Signal } from './signal.ts';
import type { Store } from './store.ts';
import { SyncSchedule } from './sync-schedule.ts';

export interface GroupCommitDeps {
  readonly clock: Clock;
  readonly settings: ShardSettings;
  /** A write failed; the store is given up. Called once a store. */
  readonly onBreakdown: (error: unknown) => void;
  /** A round is over; what it covered is settled. */
  readonly onRound: (round: Round) => void;
}

export interface Round {
  readonly kind: 'commit' | 'sync';
  readonly putCount: number;
  readonly durationMs: number;
}

export class GroupCommit {
  readonly #deps: GroupCommitDeps;
  readonly #schedule: SyncSchedule;
  /** In the order of arrival. */
  #waiting: PendingPut[] = [];
  #appending: PendingPut[] = [];
  #appended: PendingPut[] = [];
  #bytes = 0;
  #records = 0;
  /** Of the appended puts. */
  #ready = { bytes: 0, records: 0 };
  #store: Store | undefined;
  #appendLoop: Promise<void> | undefined;
  #roundLoop: Promise<void> | undefined;
  #draining = false;
  #delay: Timer | undefined;
  #lastArchivedAtMs = 0;
  readonly #progress = new Signal();

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
    this.#schedule = new SyncSchedule(deps.clock, deps.settings.syncIntervalMs, () => this.#turn());
  }

  /** Bytes of all puts that are not settled. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records of all puts that are not settled. */
  get records(): number {
    return this.#records;
  }

  get putCount(): number {
    return this.#waiting.length + this.#appending.length + this.#appended.length;
  }

  /** Takes a put, or throws `overloaded` when too much waits. A put that finds nothing before it is always taken. */
  add(put: PendingPut): void {
    if (this.putCount > 0) this.#requireRoom(put);
    this.#bytes += put.bytes;
    this.#records += put.recordCount;
    this.#waiting.push(put);
    this.#turn();
  }

  /** Goes on with this store. */
  start(store: Store): void {
    assert(this.#store === undefined, 'one store at a time');
    this.#store = store;
    this.#schedule.restart();
    this.#turn();
  }

  /** Ends both loops; resolves when neither touches the store any more. */
  async stop(): Promise<void> {
    this.#store = undefined;
    this.#delay?.cancel();
    this.#delay = undefined;
    this.#schedule.stop();
    this.#progress.raise();
    await this.#appendLoop;
    await this.#roundLoop;
    for (const put of [...this.#appended, ...this.#appending]) put.repeat();
    this.#waiting = [...this.#appended, ...this.#appending, ...this.#waiting];
    this.#appended = [];
    this.#appending = [];
    this.#ready = { bytes: 0, records: 0 };
    this.#progress.raise();
  }

  /** Commits without delay until no put is left, or the loops are stopped. */
  async drain(): Promise<void> {
    this.#draining = true;
    while (this.#store !== undefined && this.putCount > 0) {
      const { raised } = this.#progress;
      this.#turn();
      await raised;
    }
    this.#draining = false;
  }

  /** Refuses all puts that are left. */
  refuseAll(error: Error): void {
    assert(this.#store === undefined, 'only when the loops are stopped');
    for (const put of this.#waiting) this.#forget(put).refuse(error);
    this.#waiting = [];
  }

  /** Starts what is to be done and does not run. */
  #turn(): void {
    const store = this.#store;
    if (store === undefined) return;
    if (this.#appendLoop === undefined && this.#waiting.length > 0) this.#appendLoop = this.#append(store);
    if (this.#roundLoop === undefined && this.#nextRound(store) !== undefined) this.#roundLoop = this.#rounds(store);
    this.#armDelay();
  }

  async #append(store: Store): Promise<void> {
    // Puts that arrive in one turn of the event loop share a batch.
    await undefined;
    try {
      while (this.#store === store && this.#waiting.length > 0) {
        this.#appending = this.#takeBatch();
        if (!(await this.#makeRoom(store))) break;
        const nowMs = Math.max(this.#lastArchivedAtMs, this.#deps.clock.wallMs());
        this.#lastArchivedAtMs = nowMs;
        const { appended, refused } = await appendBatch(store.freezer, this.#appending, nowMs);
        this.#appending = [];
        this.#collect(appended);
        for (const { put, error } of refused) this.#forget(put).refuse(error);
        this.#settleCovered(store);
        this.#progress.raise();
        this.#turn();
      }
    } catch (error) {
      this.#breakDown(store, error);
    } finally {
      this.#appendLoop = undefined;
    }
    this.#turn();
  }

  async #rounds(store: Store): Promise<void> {
    try {
      for (
        let kind = this.#nextRound(store);
        kind !== undefined && this.#store === store;
        kind = this.#nextRound(store)
      ) {
        const startedMs = this.#deps.clock.monotonicMs();
        if (this.#appended.length > 0) await store.commit();
        let putCount = this.#settleCovered(store);
        if (kind === 'sync') {
          await store.sync({ clean: false });
          this.#schedule.restart();
          putCount += this.#settleCovered(store);
        }
        this.#deps.onRound({ kind, putCount, durationMs: this.#deps.clock.monotonicMs() - startedMs });
        this.#progress.raise();
      }
    } catch (error) {
      this.#breakDown(store, error);
    } finally {
      this.#roundLoop = undefined;
    }
    this.#turn();
  }

  #collect(appended: readonly PendingPut[]): void {
    for (const put of appended) {
      this.#appended.push(put);
      this.#ready.bytes += put.bytes;
      this.#ready.records += put.recordCount;
      this.#schedule.appended(put.recordCount);
    }
  }

  #nextRound(store: Store): 'commit' | 'sync' | undefined {
    if (this.#schedule.isDue(store.freezer)) return 'sync';
    return this.#appended.length > 0 && this.#isCommitDue() ? 'commit' : undefined;
  }

  #isCommitDue(): boolean {
    const { commitBytesMax, commitRecordsMax, commitPutsMax } = this.#deps.settings;
    if (this.#draining || this.#appended.length >= commitPutsMax) return true;
    if (this.#ready.bytes >= commitBytesMax || this.#ready.records >= commitRecordsMax) return true;
    return this.#leftMs() <= 0;
  }

  /** How long the oldest put may still wait; without one, for ever. */
  #leftMs(): number {
    const oldest = this.#appended[0] ?? this.#appending[0] ?? this.#waiting[0];
    if (oldest === undefined) return Number.POSITIVE_INFINITY;
    return oldest.arrivedAtMs + this.#deps.settings.commitDelayMs - this.#deps.clock.monotonicMs();
  }

  #armDelay(): void {
    const leftMs = this.#leftMs();
    if (
      this.#delay !== undefined ||
      this.#roundLoop !== undefined ||
      leftMs <= 0 ||
      leftMs === Number.POSITIVE_INFINITY
    )
      return;
    this.#delay = this.#deps.clock.after(leftMs, () => {
      this.#delay = undefined;
      this.#turn();
    });
  }

  #takeBatch(): PendingPut[] {
    const { commitBytesMax, commitRecordsMax } = this.#deps.settings;
    let bytes = 0;
    let records = 0;
    const count = this.#waiting.findIndex((put, index) => {
      bytes += put.bytes;
      records += put.recordCount;
      return index > 0 && (bytes > commitBytesMax || records > Math.min(commitRecordsMax, this.#batchRecordsMax));
    });
    return this.#waiting.splice(0, count === -1 ? this.#waiting.length : count);
  }

  /** Records of a batch that always fit beside the changed buckets of a table that is due for a sync. */
  get #batchRecordsMax(): number {
    return Math.floor(this.#deps.settings.engine.tableChangesMax / 4);
  }

  /** Waits for a sync when the batch could change more buckets than fit in memory; false when the loops were stopped. */
  async #makeRoom(store: Store): Promise<boolean> {
    const records = this.#appending.reduce((sum, put) => sum + put.recordCount, 0);
    const { tableChangesMax } = this.#deps.settings.engine;
    while (this.#store === store && store.freezer.changedCount + records > tableChangesMax) {
      this.#schedule.demand();
      const { raised } = this.#progress;
      this.#turn();
      await raised;
    }
    return this.#store === store;
  }

  /** Settles the appended puts that are durable, in their order; gives their number. */
  #settleCovered(store: Store): number {
    const { committed } = store.freezer;
    const commit = store.commitNumber;
    const before = this.#appended.length;
    this.#appended = this.#appended.filter((put) => {
      if (!put.isCovered(committed)) return true;
      this.#forget(put).settle(commit);
      this.#ready.bytes -= put.bytes;
      this.#ready.records -= put.recordCount;
      return false;
    });
    if (before > this.#appended.length) this.#progress.raise();
    return before - this.#appended.length;
  }

  #requireRoom(put: PendingPut): void {
    const { waitingBytesMax, waitingRecordsMax } = this.#deps.settings;
    const bytes = this.#bytes + put.bytes;
    const records = this.#records + put.recordCount;
    if (bytes > waitingBytesMax) throw overloaded('waitingBytesMax', bytes, waitingBytesMax);
    if (records > waitingRecordsMax) throw overloaded('waitingRecordsMax', records, waitingRecordsMax);
  }

  #forget(put: PendingPut): PendingPut {
    this.#bytes -= put.bytes;
    this.#records -= put.recordCount;
    return put;
  }

  #breakDown(store: Store, error: unknown): void {
    if (this.#store !== store) return;
    this.#store = undefined;
    this.#progress.raise();
    this.#deps.onBreakdown(error);
  }
}

function overloaded(limit: string, wanted: number, max: number): ShardError {
  return new ShardError('overloaded', `${wanted} would wait, at most ${max} may (${limit})`, {
    retriable: true,
    details: { limit, wanted, max },
  });
}
