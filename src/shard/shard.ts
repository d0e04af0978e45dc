/**
 * A shard: one freezer run as a service by its only owner.
 *
 * States: open → recovering or disk-full (a write failed; puts wait, lookups are answered by the instance that failed)
 * → open with a second instance, or failed (it cannot be opened; only lookups are answered); any → closing → closed.
 *
 * Invariants: a put resolves only when every record that its outcome rests on is on disk, fsynced, and will be found by
 * recovery; a lookup is answered from committed state only; a checkpoint is told about only when it is durable.
 *
 * Crash behaviour: see `store.ts`. A put that had not resolved may be stored, wholly or in part; sent again as
 * redelivered, it completes without storing anything twice.
 */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import { GroupCommit, type Round } from './group-commit.ts';
import { type Answer, LookupDesk, type Question } from './lookup.ts';
import { openShardStore, refuseEmptyVolume } from './open-shard.ts';
import type { HeldLock, OwnerLock } from './owner-lock.ts';
import { checkRequest, PendingPut } from './pending-put.ts';
import type { Load } from './put-backlog.ts';
import type { PutRequest, PutResult } from './put-request.ts';
import { Reopening } from './reopening.ts';
import { batchRecordsMax, checkShardSettings, type ShardSettings } from './settings.ts';
import { describeCheckpoint, type ShardCheckpoint } from './shard-checkpoint.ts';
import { ShardError } from './shard-error.ts';
import { HookCaller, type ShardHooks, type ShardState } from './shard-hooks.ts';
import type { PublishedCheckpoint } from './start-up.ts';
import type { Store, StoreDeps } from './store.ts';
import { StoreSeat } from './store-seat.ts';

export interface ShardDeps {
  /** The disk below the shard's directory. */
  readonly disk: Disk;
  readonly lock: OwnerLock;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What Redis says about this shard, if anything. */
  readonly published: PublishedCheckpoint | undefined;
  readonly hooks?: ShardHooks;
}

export class Shard {
  readonly #deps: ShardDeps;
  readonly #settings: ShardSettings;
  readonly #storeDeps: StoreDeps;
  readonly #lock: HeldLock;
  readonly #hooks: HookCaller;
  readonly #seat: StoreSeat;
  readonly #puts: GroupCommit;
  readonly #desk: LookupDesk;
  #state: ShardState = 'open';
  #reopening: Reopening | undefined;
  #recovery: Promise<void> = Promise.resolve();
  #opening: Promise<void> = Promise.resolve();
  #disturbances = 0;
  #disturbed = false;
  #closing: Promise<{ readonly clean: boolean }> | undefined;

  private constructor(deps: ShardDeps, settings: ShardSettings, storeDeps: StoreDeps, lock: HeldLock, store: Store) {
    this.#deps = deps;
    this.#settings = settings;
    this.#storeDeps = storeDeps;
    this.#lock = lock;
    this.#hooks = new HookCaller(deps.hooks ?? {}, deps.logger);
    this.#seat = new StoreSeat(store, (error) => deps.logger.warn({ error }, 'release-failed'));
    this.#puts = new GroupCommit({
      clock: deps.clock,
      settings,
      onBreakdown: (error) => this.#breakDown(error),
      onRound: (round) => this.#roundDone(round),
    });
    const shard = this;
    this.#desk = new LookupDesk(this.#seat, {
      attemptOver: () => shard.#opening,
      recovered: () => shard.#recovery,
      get disturbed() {
        return shard.#disturbed;
      },
      get disturbances() {
        return shard.#disturbances;
      },
      get closed() {
        return shard.#state === 'closed' || (shard.#state === 'failed' && shard.#seat.current.syncFailed);
      },
    });
  }

  /**
   * Takes the directory's lock and opens or creates the shard, as the start-up table says. Every refusal is a
   * ShardError, or an error of the engine, that says what was found and expected; none changes a byte.
   */
  static async open(deps: ShardDeps, settings: ShardSettings): Promise<Shard> {
    checkShardSettings(settings);
    await refuseEmptyVolume(deps.disk, settings, deps.published);
    const lock = await deps.lock.acquire();
    try {
      const { disk, clock, logger, hooks } = deps;
      const storeDeps: StoreDeps = { disk, clock, logger, engine: settings.engine, progress: hooks?.onProgress };
      const store = await openShardStore(storeDeps, settings, deps.published);
      const shard = new Shard(deps, settings, storeDeps, lock, store);
      shard.#puts.start(store);
      shard.#announce();
      return shard;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get state(): ShardState {
    return this.#state;
  }

  /** UUID of this volume. */
  get instance(): string {
    return this.#seat.current.saved.instance;
  }

  /** The newest durable checkpoint, as it is published. */
  get checkpoint(): ShardCheckpoint {
    return describeCheckpoint(this.#seat.current);
  }

  /** Number of the last commit. */
  get commitNumber(): number {
    return this.#seat.current.commitNumber;
  }

  /** What waits to become durable. */
  get waiting(): Load {
    return this.#puts.load;
  }

  /** The instance in use, for inspection: counters, table size, resize progress. */
  get freezer(): Store['freezer'] {
    return this.#seat.current.freezer;
  }

  /**
   * Stores a put; resolves when it is durable as a whole. Rejects, with nothing of it stored, as `limit-exceeded`,
   * `invalid-request`, `key-exists` or `corrupt-chain`; as `overloaded` when too much waits; as `closing` or `failed`
   * when the shard takes no more, and then a part of it may be stored.
   */
  async put(request: PutRequest): Promise<PutResult> {
    this.#requireIntake();
    checkRequest(request, batchRecordsMax(this.#settings.engine));
    const put = new PendingPut(request, this.#deps.clock.monotonicMs());
    this.#puts.add(put);
    return put.result;
  }

  /** One answer each, in the order of the questions, from committed state only. */
  lookupMany(questions: readonly Question[]): Promise<readonly Answer[]> {
    return this.#desk.lookupMany(questions);
  }

  /**
   * Takes no more puts, commits what waits, syncs with the clean mark, and gives everything back. `clean` is false when
   * the last sync did not succeed; then the next opening recovers. Puts that are not durable by then are rejected.
   */
  close(): Promise<{ readonly clean: boolean }> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<{ readonly clean: boolean }> {
    this.#enter('closing', undefined);
    this.#reopening?.cancel();
    await this.#puts.drain();
    await this.#puts.stop();
    await this.#recovery;
    this.#puts.refuseAll(
      new ShardError('closing', 'the shard was closed before the put was durable', { retriable: true }),
    );
    const clean = await this.#syncClean();
    this.#enter('closed', undefined);
    await this.#seat.vacate().catch((error: unknown) => this.#deps.logger.warn({ error }, 'release-failed'));
    this.#lock.release();
    return { clean };
  }

  async #syncClean(): Promise<boolean> {
    const store = this.#seat.current;
    if (store.freezer.poisoned !== undefined) return false;
    try {
      await store.sync({ clean: true });
      this.#announce();
      return true;
    } catch (error) {
      this.#deps.logger.error({ error }, 'closing-sync-failed');
      return false;
    }
  }

  #breakDown(error: unknown): void {
    this.#deps.logger.error({ error }, 'write-failed');
    this.#recovery = this.#recover(error);
  }

  async #recover(cause: unknown): Promise<void> {
    await this.#puts.stop();
    this.#seat.moved.raise();
    if (this.#state === 'closing') return;
    const reopening = new Reopening(this.#storeDeps, this.#settings, {
      phase: (phase) => this.#enter(phase, asError(cause)),
      attempt: (over) => {
        this.#disturbances++;
        this.#disturbed = true;
        this.#opening = over.finally(() => {
          this.#disturbances++;
        });
      },
    });
    this.#reopening = reopening;
    try {
      await this.#seat.current.closeFiles();
      const store = await reopening.run(cause);
      if (store !== undefined) this.#goOn(store);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reopening = undefined;
    }
  }

  #goOn(store: Store): void {
    this.#disturbed = false;
    this.#seat.replace(store);
    if (this.#state === 'closing') return;
    this.#enter('open', undefined);
    this.#puts.start(store);
    this.#announce();
  }

  #fail(error: unknown): void {
    const failure = new ShardError('failed', `the shard cannot go on: ${messageOf(error)}`, {
      fatal: true,
      cause: error,
    });
    this.#deps.logger.error({ error }, 'shard-failed');
    this.#enter('failed', failure);
    this.#puts.refuseAll(failure);
    this.#seat.moved.raise();
  }

  #roundDone(round: Round): void {
    this.#seat.moved.raise();
    this.#hooks.tell((hooks) => hooks.onRound?.(round));
    if (round.kind === 'sync') this.#announce();
  }

  #announce(): void {
    const { checkpoint } = this;
    this.#hooks.tell((hooks) => hooks.onCheckpoint?.(checkpoint));
  }

  #enter(state: ShardState, cause: Error | undefined): void {
    if (this.#state === state || this.#state === 'closed') return;
    if (this.#state === 'closing' && state !== 'closed') return;
    this.#state = state;
    this.#deps.logger.info({ state }, 'shard-state');
    this.#hooks.tell((hooks) => hooks.onState?.(state, cause));
  }

  #requireIntake(): void {
    if (this.#state === 'closing' || this.#state === 'closed') {
      throw new ShardError('closing', 'the shard is being closed', { retriable: true });
    }
    if (this.#state === 'failed') throw new ShardError('failed', 'the shard cannot go on', { fatal: true });
  }
}

function asError(error: unknown): Error | undefined {
  return error instanceof Error ? error : undefined;
}
