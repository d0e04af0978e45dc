/**
 * Group commit: many puts share one fsync round.
 *
 * Two loops run side by side. *Appending* takes waiting puts in their order and appends them to memory. *Rounds* make
 * durable what was appended: a commit, or a sync when one is due. While a round waits for the disk the next puts
 * collect, so the disk is busy as long as there is something to do.
 *
 * A commit starts as soon as as many puts were appended as the last round settled: those who got their answers are
 * the ones who put again. Without them it starts when `commitDelayMs` have passed, since the last round or since the
 * oldest put arrived, whichever was first; at once when the bytes, records or number of appended puts reach their limit,
 * or when the shard drains. So a put on an idle shard waits for nobody, and many share a round. A put settles when the committed end of the journals covers every record that its outcome rests on.
 *
 * States: running → stopped (a write failed: both loops end, nothing is settled any more) → running with another
 * store. A stop keeps all puts; those that were appended wait again, as redelivered, before the others.
 */
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { appendBatch } from './append-batch.ts';
import type { PendingPut } from './pending-put.ts';
import { type Load, PutBacklog } from './put-backlog.ts';
import { batchRecordsMax, type ShardSettings } from './settings.ts';
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
  readonly #backlog = new PutBacklog();
  readonly #progress = new Signal();
  #store: Store | undefined;
  #appendLoop: Promise<void> | undefined;
  #roundLoop: Promise<void> | undefined;
  #draining = false;
  #delay: Timer | undefined;
  #lastArchivedAtMs = 0;
  /** How many puts the last round settled, and when it was over. */
  #lastRound = { putCount: 0, endedAtMs: Number.NEGATIVE_INFINITY };

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
    this.#schedule = new SyncSchedule(deps.clock, deps.settings.syncIntervalMs, () => this.#turn());
  }

  /** What is not settled. */
  get load(): Load {
    return this.#backlog.load;
  }

  /** Takes a put, or throws `overloaded` when too much waits. */
  add(put: PendingPut): void {
    this.#backlog.add(put, this.#deps.settings);
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
    this.#backlog.repeat();
    this.#progress.raise();
  }

  /**
   * Commits without delay until no put is left, or the loops are stopped. A put that is looked for in a long chain of
   * versions is not waited for, but refused as `closing`.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    while (this.#store !== undefined && this.load.puts > 0) {
      const { raised } = this.#progress;
      this.#turn();
      await raised;
    }
    this.#draining = false;
  }

  /** Refuses all puts that are left. */
  refuseAll(error: Error): void {
    assert(this.#store === undefined, 'only when the loops are stopped');
    this.#backlog.refuseAll(error);
  }

  /** Starts what is to be done and does not run. */
  #turn(): void {
    const store = this.#store;
    if (store === undefined) return;
    if (this.#appendLoop === undefined && this.#backlog.hasWaiting) this.#appendLoop = this.#append(store);
    if (this.#roundLoop === undefined && this.#nextRound(store) !== undefined) this.#roundLoop = this.#rounds(store);
    if (this.#roundLoop === undefined) this.#armDelay();
  }

  async #append(store: Store): Promise<void> {
    // Puts that arrive in one turn of the event loop share a batch.
    await undefined;
    try {
      while (this.#store === store && this.#backlog.hasWaiting) await this.#appendNext(store);
    } catch (error) {
      this.#breakDown(store, error);
    } finally {
      this.#appendLoop = undefined;
    }
    this.#turn();
  }

  async #appendNext(store: Store): Promise<void> {
    const { commitBytesMax, commitRecordsMax, engine } = this.#deps.settings;
    const recordsMax = Math.min(commitRecordsMax, batchRecordsMax(engine));
    const batch = this.#backlog.takeBatch(commitBytesMax, recordsMax);
    const recordCount = batch.reduce((sum, put) => sum + put.recordCount, 0);
    if (!(await this.#makeRoom(store, recordCount))) return;
    this.#lastArchivedAtMs = Math.max(this.#lastArchivedAtMs, this.#deps.clock.wallMs());
    const { appended, refused } = await appendBatch(store.freezer, batch, {
      nowMs: this.#lastArchivedAtMs,
      mayGoOn: () => this.#store === store && !this.#draining,
    });
    // A store that was given up says nothing that counts: its batch is decided again with the next one.
    if (this.#store !== store) return;
    this.#backlog.batchAppended(appended, refused);
    this.#schedule.appended(recordCount);
    this.#settle(store);
    this.#progress.raise();
    this.#turn();
  }

  async #rounds(store: Store): Promise<void> {
    try {
      while (this.#store === store) {
        const kind = this.#nextRound(store);
        if (kind === undefined) break;
        const startedMs = this.#deps.clock.monotonicMs();
        const putCount = await this.#round(store, kind);
        const endedAtMs = this.#deps.clock.monotonicMs();
        this.#lastRound = { putCount, endedAtMs };
        this.#deps.onRound({ kind, putCount, durationMs: endedAtMs - startedMs });
        this.#progress.raise();
      }
    } catch (error) {
      this.#breakDown(store, error);
    } finally {
      this.#roundLoop = undefined;
    }
    this.#turn();
  }

  /** One commit, and the sync behind it if that is due; gives the number of puts that it settled. */
  async #round(store: Store, kind: Round['kind']): Promise<number> {
    if (this.#backlog.appended.puts > 0) await store.commit();
    const putCount = this.#settle(store);
    if (kind === 'commit') return putCount;
    this.#schedule.begin();
    await store.sync({ clean: false });
    this.#schedule.restart();
    return putCount + this.#settle(store);
  }

  #nextRound(store: Store): Round['kind'] | undefined {
    if (this.#schedule.isDue(store.freezer)) return 'sync';
    return this.#backlog.appended.puts > 0 && this.#isCommitDue() ? 'commit' : undefined;
  }

  #isCommitDue(): boolean {
    const { commitBytesMax, commitRecordsMax, commitPutsMax } = this.#deps.settings;
    const { puts, records, bytes } = this.#backlog.appended;
    if (this.#draining || puts >= commitPutsMax || records >= commitRecordsMax || bytes >= commitBytesMax) return true;
    return puts >= this.#lastRound.putCount || this.#leftMs() <= 0;
  }

  /** How long the oldest put may still wait for others; without one, for ever. */
  #leftMs(): number {
    const { oldest } = this.#backlog;
    if (oldest === undefined) return Number.POSITIVE_INFINITY;
    const sinceMs = Math.min(oldest.arrivedAtMs, this.#lastRound.endedAtMs);
    return sinceMs + this.#deps.settings.commitDelayMs - this.#deps.clock.monotonicMs();
  }

  #armDelay(): void {
    const leftMs = this.#leftMs();
    if (this.#delay !== undefined || leftMs <= 0 || leftMs === Number.POSITIVE_INFINITY) return;
    this.#delay = this.#deps.clock.after(leftMs, () => {
      this.#delay = undefined;
      this.#turn();
    });
  }

  /** Waits for a sync when the records could change more buckets than fit in memory; false when the loops were stopped. */
  async #makeRoom(store: Store, recordCount: number): Promise<boolean> {
    const { tableChangesMax } = this.#deps.settings.engine;
    while (this.#store === store && store.freezer.changedCount + recordCount > tableChangesMax) {
      this.#schedule.demand();
      const { raised } = this.#progress;
      this.#turn();
      await raised;
    }
    return this.#store === store;
  }

  #settle(store: Store): number {
    const count = this.#backlog.settle(store.freezer.committed, store.commitNumber);
    if (count > 0) this.#progress.raise();
    return count;
  }

  #breakDown(store: Store, error: unknown): void {
    if (this.#store !== store) return;
    this.#store = undefined;
    this.#progress.raise();
    this.#deps.onBreakdown(error);
  }
}
