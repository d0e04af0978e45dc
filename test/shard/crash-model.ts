/**
 * A workload of a shard, and what must be found after a crash in it: every put that resolved, by key and by cursor;
 * what a lookup once returned is never gone or older; nothing is there that was not put; and no record is there twice,
 * although puts whose outcome was not known are sent again.
 */
import assert from 'node:assert/strict';
import { codeOf } from '../../src/base/errors.ts';
import type { Disk } from '../../src/disk/disk.ts';
import type { Answer } from '../../src/shard/lookup.ts';
import type { IfExists, PutRequest } from '../../src/shard/put-request.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import type { Shard } from '../../src/shard/shard.ts';
import type { ManualClock } from '../simulation/manual-clock.ts';
import { mixSeed, Random } from '../simulation/random.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import type { FullDisk } from './full-disk.ts';
import { Promises, questionOf, type ShardEvent } from './promises.ts';
import { openShard, put, settled, tinyEngine, tinySettings, turns } from './shard-harness.ts';
import { SideReader } from './side-reader.ts';

export interface ShardPlan {
  readonly seed: number;
  readonly turns: number;
  readonly settings?: Partial<ShardSettings>;
  /** Stands between the shard and the disk: breaks its orders to show that the test notices. */
  readonly disturb?: ((disk: Disk) => Disk) | undefined;
  /** Fails every so manyth sync of a file, or of the files of this name only. */
  readonly failedSyncEvery?: number;
  readonly failedSyncOf?: string;
  /** Calls to the disk fail, reads too: what lookups may answer beside what is right. */
  readonly excused?: readonly Answer['kind'][];
  /** The disk is full for a while: what to tell of an opening that it refused. */
  readonly fullDisk?: FullDisk;
  /** The disk loses what it was told to write: only what is found is judged. */
  readonly lossy?: boolean;
  /** Closes and opens the shard in the middle and at the end. */
  readonly closes?: boolean;
}

const modelSettings: Partial<ShardSettings> = { commitDelayMs: 0, reopenDelayMs: 1, reopenAttemptsMax: 50 };
const choices: readonly IfExists[] = ['append', 'append', 'append', 'skip-same', 'keep', 'reject'];
const openingsMax = 50;
const keys = Array.from({ length: 12 }, (_, index) => `key ${index}`);

/** Settings whose sizes are drawn: pages, buffers, sections and tables that a few records fill. */
export function drawnSettings(random: Random): Partial<ShardSettings> {
  const engine = {
    ...tinyEngine,
    pageSize: random.pick([96, 160, 256]),
    pageCachePages: random.between(2, 6),
    keyWriteBuffer: random.pick([200, 320, 700]),
    valueWriteBuffer: random.pick([128, 512, 1024]),
    valueTargetSize: random.pick([400, 700, 1200]),
    tableInitialSize: random.pick([1, 4]),
    tableResizeFrequency: random.between(1, 3),
    tableResizeChunkSize: random.pick([1, 4]),
    tableChangesMax: random.pick([16, 64]),
  };
  return { engine };
}

/** One table bucket at first, and a resize that each sync takes one bucket further. */
export const resizingSettings: Partial<ShardSettings> = {
  engine: { ...tinyEngine, tableInitialSize: 1, tableResizeFrequency: 1, tableResizeChunkSize: 1 },
};

export class ShardModel {
  readonly #plan: ShardPlan;
  /** Puts and lookups that were judged. */
  operations = 0;
  /** Of the lookups, those that were answered while the disk was full. */
  answersWhileFull = 0;

  constructor(plan: ShardPlan) {
    this.#plan = plan;
  }

  get settings(): ShardSettings {
    return { ...tinySettings, ...modelSettings, ...this.#plan.settings };
  }

  /** Puts side by side, some of them twice, a reader beside them, syncs by the clock. */
  readonly workload = async (disk: SimulatedDisk, events: ShardEvent[]): Promise<void> => {
    const plan = this.#plan;
    if (plan.failedSyncEvery !== undefined) failSyncs(disk, plan.failedSyncEvery, plan.failedSyncOf);
    const half = Math.ceil(plan.turns / 2);
    const random = new Random(plan.seed);
    const parts = plan.closes === true ? [half, plan.turns - half] : [plan.turns];
    for (const [part, count] of parts.entries()) await this.#session(disk, events, random, `${part}`, count);
  };

  /** Opens the shard, compares it with the events, completes what was not known to be stored, and compares again. */
  readonly verify = async (disk: SimulatedDisk, events: ShardEvent[]): Promise<void> => {
    const { shard, clock } = await this.open(disk);
    const promises = new Promises(events);
    this.operations += await promises.judgeShard(shard);
    for (const request of unsettledIn(events).slice(0, 6)) {
      await this.#attempt(shard, clock, { ...request, redelivered: true }, promises, events);
    }
    await this.#sendAgain(shard, clock, events);
    this.operations += await promises.judgeShard(shard);
    await this.#lookAtAll(shard, promises, events);
    await settled(shard.close(), clock);
    assert.deepEqual(disk.openHandles, []);
  };

  /** Opens the shard; again and again where fsyncs fail. */
  async open(disk: SimulatedDisk): ReturnType<typeof openShard> {
    const plan = this.#plan;
    const used = plan.disturb?.(disk) ?? disk;
    for (let attempts = 1; ; attempts++) {
      try {
        return await openShard(disk, this.settings, { disk: used });
      } catch (error) {
        if (codeOf(error) === 'disk-full') plan.fullDisk?.refuse();
        const passes = plan.fullDisk === undefined ? plan.failedSyncEvery !== undefined && 'disk-failed' : 'disk-full';
        if (codeOf(error) !== passes) throw error;
        assert.ok(attempts < openingsMax, 'no opening succeeds');
      }
    }
  }

  async #session(
    disk: SimulatedDisk,
    events: ShardEvent[],
    random: Random,
    name: string,
    turnCount: number,
  ): Promise<void> {
    const promises = new Promises(events);
    const { shard, clock } = await this.open(disk);
    const note = (event: ShardEvent): void => {
      events.push(event);
      promises.note(event);
    };
    const reader = new SideReader(shard, {
      random: new Random(mixSeed(this.#plan.seed, turnCount)),
      keys,
      promises,
      seen: note,
      lossy: this.#plan.lossy === true,
      excused: this.#plan.excused ?? (this.#plan.failedSyncEvery === undefined ? [] : ['unavailable']),
    });
    for (let turn = 0; turn < turnCount; turn++) {
      const requests = drawnPuts(random, `${name}.${turn}`);
      await Promise.all(requests.map((request) => this.#attempt(shard, clock, request, promises, events)));
      if (random.chance(0.3)) clock.advance(2000);
      await turns(3);
    }
    await settled(reader.stop(), clock);
    this.operations += reader.answers;
    this.answersWhileFull += reader.answersWhileFull;
    await settled(shard.close(), clock);
  }

  async #attempt(
    shard: Shard,
    clock: ManualClock,
    request: PutRequest,
    promises: Promises,
    events: ShardEvent[],
  ): Promise<void> {
    this.operations++;
    const note = (event: ShardEvent): void => {
      events.push(event);
      promises.note(event);
    };
    note({ kind: 'attempted', request });
    try {
      const result = await settled(shard.put(request), clock);
      note({ kind: 'resolved', request, result });
    } catch (error) {
      if (codeOf(error) !== 'key-exists') throw error;
      note({ kind: 'refused', request });
    }
  }

  /** A put that had resolved and is sent again stores nothing and names the same records. */
  async #sendAgain(shard: Shard, clock: ManualClock, events: readonly ShardEvent[]): Promise<void> {
    for (const event of events.filter(({ kind }) => kind === 'resolved').slice(-3)) {
      if (event.kind !== 'resolved' || !event.result.records.every(({ outcome }) => outcome === 'stored')) continue;
      this.operations++;
      const again = await settled(shard.put({ ...event.request, redelivered: true }), clock);
      for (const [index, record] of again.records.entries()) {
        assert.equal(record.outcome, 'unchanged');
        assert.deepEqual(record.cursor, event.result.records[index]?.cursor);
      }
    }
  }

  /** What is found is a promise to the checks of later crashes. */
  async #lookAtAll(shard: Shard, promises: Promises, events: ShardEvent[]): Promise<void> {
    for (const answer of await shard.lookupMany(keys.map(questionOf))) {
      if (answer.kind === 'found' && !promises.isKnown(answer.cursor)) events.push({ kind: 'seen', record: answer });
    }
  }
}

/** Puts whose outcome was never known. */
export function unsettledIn(events: readonly ShardEvent[]): readonly PutRequest[] {
  const known = new Set(events.flatMap((event) => (isOutcome(event) ? [event.request.putId] : [])));
  return events.flatMap((event) =>
    event.kind === 'attempted' && !known.has(event.request.putId) ? [event.request] : [],
  );
}

function isOutcome(event: ShardEvent): event is Extract<ShardEvent, { kind: 'resolved' | 'refused' }> {
  return event.kind === 'resolved' || event.kind === 'refused';
}

function drawnPuts(random: Random, turn: string): readonly PutRequest[] {
  const requests = Array.from({ length: random.between(1, 4) }, (_, index) => drawnPut(random, `${turn}.${index}`));
  const [first] = requests;
  if (first !== undefined && random.chance(0.3)) requests.push({ ...first, redelivered: true });
  return requests;
}

function drawnPut(random: Random, putId: string): PutRequest {
  const records = Array.from({ length: random.between(1, 3) }, (): readonly [string, string] => {
    const size = random.chance(0.1) ? 300 : random.between(0, 40);
    return [random.pick(keys), random.chance(0.2) ? 'same' : `${putId}:${'x'.repeat(size)}`];
  });
  return put(putId, records, { ifExists: random.pick(choices), redelivered: random.chance(0.1) });
}

function failSyncs(disk: SimulatedDisk, every: number, only: string | undefined): void {
  let count = 0;
  const isDue = (kind: string, path: string): boolean =>
    kind === 'sync' && (only === undefined || path === only) && ++count % every === 0;
  disk.failAt(({ kind, path }) => isDue(kind, path), 'eio', Number.POSITIVE_INFINITY);
}
