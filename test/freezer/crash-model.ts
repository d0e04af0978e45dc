/**
 * What a freezer must be after a crash: exactly the first n records that were put, in their order, with n at least
 * the count that any commit returned for or any recovery had shown before.
 */
import assert from 'node:assert/strict';
import { AssertionFailure } from '../../src/base/assert.ts';
import type { Disk } from '../../src/disk/disk.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { Random } from '../simulation/random.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { Keeper, smallSettings } from './keeper.ts';

export interface Put {
  readonly key: Buffer;
  readonly value: Buffer;
}

export type CrashEvent =
  | { readonly kind: 'put'; readonly put: Put }
  | { readonly kind: 'committed'; readonly count: number }
  | { readonly kind: 'recovered'; readonly count: number };

/** The records as attempted, and how many of them are promised. */
export function modelOf(events: readonly CrashEvent[]): { readonly puts: readonly Put[]; readonly promised: number } {
  const puts: Put[] = [];
  let promised = 0;
  for (const event of events) {
    if (event.kind === 'put') puts.push(event.put);
    else if (event.kind === 'committed') promised = Math.max(promised, event.count);
    else {
      puts.length = event.count;
      promised = event.count;
    }
  }
  return { puts, promised };
}

export interface WorkloadPlan {
  readonly seed: number;
  readonly turns: number;
  readonly settings?: FreezerSettings<Uint8Array>;
  /** Stands between the freezer and the disk: breaks the engine's orders to show that the test notices. */
  readonly disturb?: (disk: Disk) => Disk;
  /** Tells the freezer that a checkpoint is saved, and saves it a turn later. */
  readonly savesLate?: boolean;
  /** Called before each sync of the freezer. */
  readonly beforeSync?: () => void;
  /** Awaited before a commit counts as returned. */
  readonly settled?: () => Promise<void>;
  /** Closes the store instead of every other sync, and opens it again. */
  readonly closes?: boolean;
  /** Never syncs, so that pages see many commits. */
  readonly commitsOnly?: boolean;
  /** Fails the fsync of a journal every so many times; the workload then opens the store anew and goes on. */
  readonly failedSyncEvery?: number;
  /** Opens the store anew after whatever failed, and goes on. */
  readonly goesOn?: boolean;
  /** Looks up a few keys after each turn; what is found must be what was put last. */
  readonly looksUp?: boolean;
  /** Bytes of a value at most; 23 if not given. */
  readonly valueSizeMax?: number;
  /** Counts the records and lookups that were compared. */
  readonly judged?: { operations: number };
}

/** Puts, commits and syncs, some of them side by side; keys repeat. */
export function workloadOf(plan: WorkloadPlan): (disk: SimulatedDisk, events: CrashEvent[]) => Promise<void> {
  return async (disk, events) => {
    const workload = new Workload(plan, plan.disturb?.(disk) ?? disk, events);
    if (plan.failedSyncEvery !== undefined) failSyncs(disk, plan.failedSyncEvery);
    await workload.run();
  };
}

function failSyncs(disk: SimulatedDisk, every: number): void {
  let count = 0;
  const isDue = (kind: string, path: string): boolean =>
    kind === 'sync' && (path.startsWith('key/') || path.startsWith('value/')) && ++count % every === 0;
  disk.failAt(({ kind, path }) => isDue(kind, path), 'eio', Number.POSITIVE_INFINITY);
}

const openingsMax = 20;

class Workload {
  readonly #plan: WorkloadPlan;
  readonly #disk: Disk;
  readonly #events: CrashEvent[];
  readonly #random: Random;
  #late: (() => Promise<void>)[] = [];

  constructor(plan: WorkloadPlan, disk: Disk, events: CrashEvent[]) {
    this.#plan = plan;
    this.#disk = disk;
    this.#events = events;
    this.#random = new Random(plan.seed);
  }

  async run(): Promise<void> {
    let store = await this.#stubbornly(() => this.#open());
    for (let turn = 0; turn < this.#plan.turns; turn++) {
      try {
        store = await this.#turn(store);
        if (this.#plan.looksUp === true) await this.#lookUp(store);
      } catch (error) {
        if (!this.#goesOn || isBroken(error)) throw error;
        await store.freezer.release();
        store = await this.#stubbornly(() => this.#recovered());
      }
    }
    await this.#saveLate();
    await store.freezer.release();
  }

  get #goesOn(): boolean {
    return this.#plan.goesOn === true || this.#plan.failedSyncEvery !== undefined;
  }

  /** Tries again and again: a fault may have struck the opening, too. */
  async #stubbornly(open: () => Promise<Store>): Promise<Store> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await open();
      } catch (error) {
        if (this.#plan.goesOn !== true || attempt === openingsMax || isBroken(error)) throw error;
      }
    }
  }

  async #recovered(): Promise<Store> {
    const store = await this.#open();
    try {
      this.#events.push({ kind: 'recovered', count: (await recordsOf(store.freezer)).length });
      return store;
    } catch (error) {
      await store.freezer.release();
      throw error;
    }
  }

  async #lookUp({ freezer }: Store): Promise<void> {
    const { puts } = modelOf(this.#events);
    for (let count = 0; count < 3; count++) {
      const key = randomKey(this.#random);
      const value = await freezer.get({ key });
      const expected = puts.findLast((put) => put.key.equals(key))?.value;
      assert.deepEqual(value === undefined ? undefined : Buffer.from(value), expected);
      countOne(this.#plan);
    }
  }

  #open(): Promise<Store> {
    return Keeper.open(this.#disk, this.#plan.settings ?? smallSettings);
  }

  async #turn(store: Store): Promise<Store> {
    const { keeper, freezer } = store;
    const due = this.#late;
    this.#late = [];
    await this.#put(freezer, this.#random.between(1, 4));
    const kind = this.#random.below(4);
    if (kind === 0 && this.#plan.commitsOnly !== true) {
      const count = modelOf(this.#events).puts.length;
      if (this.#plan.closes === true && this.#random.chance(0.5)) {
        await freezer.close(keeper.saveCheckpoint);
        await this.#promise(count);
        return this.#open();
      }
      this.#plan.beforeSync?.();
      await freezer.sync((checkpoint, table) => this.#save(() => keeper.saveCheckpoint(checkpoint, table)));
      await this.#promise(count);
    } else {
      const work = [this.#commit({ keeper, freezer })];
      if (kind > 1) work.push(this.#put(freezer, this.#random.between(1, 3)));
      if (kind > 2) work.push(this.#commit({ keeper, freezer }));
      await allDone(work);
    }
    for (const save of due) await save();
    return store;
  }

  async #put(freezer: Store['freezer'], count: number): Promise<void> {
    const entries = Array.from({ length: count }, () => randomPut(this.#random, this.#plan));
    for (const put of entries) this.#events.push({ kind: 'put', put });
    await freezer.putMany(entries);
  }

  async #commit({ keeper, freezer }: Store): Promise<void> {
    const count = modelOf(this.#events).puts.length;
    await freezer.commit(keeper.saveMark);
    await this.#promise(count);
  }

  async #promise(count: number): Promise<void> {
    await this.#plan.settled?.();
    this.#events.push({ kind: 'committed', count });
  }

  async #save(save: () => Promise<void>): Promise<void> {
    if (this.#plan.savesLate === true) this.#late.push(save);
    else await save();
  }

  async #saveLate(): Promise<void> {
    for (const save of this.#late) await save();
  }
}

type Store = Awaited<ReturnType<typeof Keeper.open>>;

/** Waits for all, also when one fails. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
}

/** An answer that was wrong, or a call that was: no fault of the disk excuses these. */
function isBroken(error: unknown): boolean {
  return error instanceof assert.AssertionError || error instanceof AssertionFailure;
}

function countOne({ judged }: WorkloadPlan): void {
  if (judged !== undefined) judged.operations++;
}

export async function recordsOf(freezer: Store['freezer']): Promise<readonly Put[]> {
  const found: Put[] = [];
  for await (const record of freezer.records()) found.push({ key: record.key, value: Buffer.from(record.value) });
  return found;
}

/** Opens the store, compares it with the model, goes on with it for a few steps. */
export function verifyOf(plan: WorkloadPlan): (disk: SimulatedDisk, events: CrashEvent[]) => Promise<void> {
  return async (disk, events) => {
    const used = plan.disturb?.(disk) ?? disk;
    const { keeper, freezer } = await Keeper.open(used, plan.settings ?? smallSettings);
    const found = await recordsOf(freezer);
    const { puts, promised } = modelOf(events);
    assert.ok(found.length >= promised, `promised ${promised} records, found ${found.length}`);
    assert.ok(found.length <= puts.length, `put ${puts.length} records, found ${found.length}`);
    assert.deepEqual(texts(found), texts(puts.slice(0, found.length)));
    events.push({ kind: 'recovered', count: found.length });
    if (plan.judged !== undefined) plan.judged.operations += found.length;
    await compareGets(plan, freezer, found);
    const random = new Random(plan.seed + found.length);
    for (const commits of [true, false]) {
      const entries = [randomPut(random, plan), randomPut(random, plan)];
      for (const put of entries) events.push({ kind: 'put', put });
      await freezer.putMany(entries);
      if (commits) await freezer.commit(keeper.saveMark);
      else await freezer.sync(keeper.saveCheckpoint);
      await plan.settled?.();
      events.push({ kind: 'committed', count: modelOf(events).puts.length });
    }
    await compareGets(plan, freezer, modelOf(events).puts);
    await freezer.release();
    assert.deepEqual(disk.openHandles, []);
  };
}

async function compareGets(plan: WorkloadPlan, freezer: Store['freezer'], puts: readonly Put[]): Promise<void> {
  const newest = new Map(puts.map(({ key, value }) => [key.toString('hex'), value.toString('hex')]));
  const keys = [...newest.keys()];
  const values = await freezer.getMany(keys.map((key) => ({ key: Buffer.from(key, 'hex') })));
  assert.deepEqual(
    values.map((value) => (value === undefined ? 'missing' : Buffer.from(value).toString('hex'))),
    [...newest.values()],
  );
  assert.equal(await freezer.get({ key: Buffer.alloc(8, 0xee) }), undefined);
  if (plan.judged !== undefined) plan.judged.operations += keys.length + 1;
}

export function texts(puts: readonly Put[]): readonly string[] {
  return puts.map(({ key, value }) => `${key.toString('hex')} ${value.toString('hex')}`);
}

const keyCount = 24;

function randomPut(random: Random, { valueSizeMax = 23 }: WorkloadPlan): Put {
  return { key: randomKey(random), value: random.bytes(random.below(valueSizeMax + 1)) };
}

function randomKey(random: Random): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32BE(random.below(keyCount), 4);
  return key;
}
