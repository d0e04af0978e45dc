/**
 * What a shard must be after a crash: every put that resolved is found, by key and by cursor; what a lookup once
 * returned is never gone; nothing is there that was not put; and no record is there twice, although puts whose outcome
 * was not known are sent again.
 */
import assert from 'node:assert/strict';
import { codeOf } from '../../src/base/errors.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { decodeCursor } from '../../src/freezer/cursor.ts';
import { archiveKey } from '../../src/shard/engine-settings.ts';
import type { FoundRecord } from '../../src/shard/lookup.ts';
import type { IfExists, PutRequest, PutResult } from '../../src/shard/put-request.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import type { Shard } from '../../src/shard/shard.ts';
import type { ManualClock } from '../simulation/manual-clock.ts';
import { Random } from '../simulation/random.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { compareCursors } from './cursor-order.ts';
import { openShard, put, settled, turns } from './shard-harness.ts';

export type ShardEvent =
  | { readonly kind: 'attempted'; readonly request: PutRequest }
  | { readonly kind: 'resolved'; readonly request: PutRequest; readonly result: PutResult }
  | { readonly kind: 'refused'; readonly request: PutRequest }
  | { readonly kind: 'seen'; readonly record: FoundRecord };

export interface ShardPlan {
  readonly seed: number;
  readonly turns: number;
  readonly settings?: Partial<ShardSettings>;
  /** Stands between the shard and the disk: breaks its orders to show that the test notices. */
  readonly disturb?: (disk: Disk) => Disk;
  /** Fails every so manyth sync of a file, or of the files of this name only. */
  readonly failedSyncEvery?: number;
  readonly failedSyncOf?: string;
  /** Closes and opens the shard in the middle and at the end. */
  readonly closes?: boolean;
}

const modelSettings: Partial<ShardSettings> = { commitDelayMs: 0, reopenDelayMs: 1, reopenAttemptsMax: 50 };
const choices: readonly IfExists[] = ['append', 'append', 'append', 'skip-same', 'keep', 'reject'];
const keyCount = 12;

async function open(plan: ShardPlan, disk: SimulatedDisk): ReturnType<typeof openShard> {
  const used = plan.disturb?.(disk) ?? disk;
  for (;;) {
    try {
      return await openShard(disk, { ...modelSettings, ...plan.settings }, { disk: used });
    } catch (error) {
      if (plan.failedSyncEvery === undefined || codeOf(error) !== 'disk-failed') throw error;
    }
  }
}

/** Puts side by side, some of them twice, lookups in between, syncs by the clock. */
export function workloadOf(plan: ShardPlan): (disk: SimulatedDisk, events: ShardEvent[]) => Promise<void> {
  return async (disk, events) => {
    if (plan.failedSyncEvery !== undefined) failSyncs(disk, plan.failedSyncEvery, plan.failedSyncOf);
    const random = new Random(plan.seed);
    let { shard, clock } = await open(plan, disk);
    for (let turn = 0; turn < plan.turns; turn++) {
      const requests = Array.from({ length: random.between(1, 4) }, (_, index) =>
        randomPut(random, `${turn}.${index}`),
      );
      const [first] = requests;
      if (first !== undefined && random.chance(0.3)) requests.push({ ...first, redelivered: true });
      const work = requests.map((request) => attempt(shard, clock, request, events));
      if (random.chance(0.5)) work.push(look(shard, clock, events));
      await Promise.all(work);
      if (random.chance(0.3)) clock.advance(2000);
      await turns(3);
      if (plan.closes === true && turn === Math.floor(plan.turns / 2)) {
        await settled(shard.close(), clock);
        ({ shard, clock } = await open(plan, disk));
      }
    }
    await settled(shard.close(), clock);
  };
}

/** Opens the shard, compares it with the events, completes what was not known to be stored, and compares again. */
export function verifyOf(plan: ShardPlan): (disk: SimulatedDisk, events: ShardEvent[]) => Promise<void> {
  return async (disk, events) => {
    const { shard, clock } = await open(plan, disk);
    await compare(shard, events);
    await look(shard, clock, events);
    const known = new Set(events.flatMap((event) => (isOutcome(event) ? [event.request.putId] : [])));
    const open_ = events.filter((event) => event.kind === 'attempted' && !known.has(event.request.putId));
    for (const event of open_.slice(0, 6)) {
      if (event.kind === 'attempted') await attempt(shard, clock, { ...event.request, redelivered: true }, events);
    }
    await compareRepeated(shard, clock, events);
    await compare(shard, events);
    await settled(shard.close(), clock);
    assert.deepEqual(disk.openHandles, []);
  };
}

function isOutcome(event: ShardEvent): event is Extract<ShardEvent, { kind: 'resolved' | 'refused' }> {
  return event.kind === 'resolved' || event.kind === 'refused';
}

function randomPut(random: Random, putId: string): PutRequest {
  const records = Array.from({ length: random.between(1, 3) }, (): readonly [string, string] => {
    const size = random.chance(0.1) ? 300 : random.between(0, 40);
    return [`key ${random.below(keyCount)}`, random.chance(0.2) ? 'same' : `${putId}:${'x'.repeat(size)}`];
  });
  return put(putId, records, { ifExists: random.pick(choices), redelivered: random.chance(0.1) });
}

async function attempt(shard: Shard, clock: ManualClock, request: PutRequest, events: ShardEvent[]): Promise<void> {
  events.push({ kind: 'attempted', request });
  try {
    const result = await settled(shard.put(request), clock);
    events.push({ kind: 'resolved', request, result });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'key-exists')) throw error;
    events.push({ kind: 'refused', request });
  }
}

/** Looks all keys up; what is found is a promise from then on. A disk that fails makes answers unavailable, never wrong. */
async function look(shard: Shard, clock: ManualClock, events: ShardEvent[]): Promise<void> {
  const keys = Array.from({ length: keyCount }, (_, index) => `key ${index}`);
  const answers = await settled(shard.lookupMany(keys.map((key) => ({ key, storedKey: archiveKey(key) }))), clock);
  for (const answer of answers) {
    if (answer.kind === 'found') events.push({ kind: 'seen', record: answer });
    else if (answer.kind !== 'unavailable') assert.equal(answer.kind, 'missing');
  }
}

interface Promised {
  readonly cursor: Buffer;
  readonly key: string;
  /** Undefined when the promise is only that there is a record. */
  readonly text: string | undefined;
}

/** What must be found, each record once. */
function promisesIn(events: readonly ShardEvent[]): readonly Promised[] {
  const promises = events.flatMap((event): readonly Promised[] => {
    if (event.kind === 'seen') {
      return [
        { cursor: event.record.cursor, key: event.record.key, text: Buffer.from(event.record.payload).toString() },
      ];
    }
    if (event.kind !== 'resolved') return [];
    return event.request.records.map(({ key, payload }, index) => {
      const record = event.result.records[index];
      assert.ok(record !== undefined, 'one outcome a record');
      return { key, cursor: record.cursor, text: record.outcome === 'kept' ? undefined : payload.toString() };
    });
  });
  return [
    ...new Map(promises.map((promise) => [`${promise.cursor.toString('hex')} ${promise.text}`, promise])).values(),
  ];
}

async function compare(shard: Shard, events: readonly ShardEvent[]): Promise<void> {
  const promises = promisesIn(events);
  const byCursor = await shard.lookupMany(promises.map(({ cursor }) => ({ cursor })));
  for (const [index, { key, text, cursor }] of promises.entries()) {
    const answer = byCursor[index];
    assert.equal(answer?.kind, 'found', `cursor ${cursor.toString('hex')} of ${key}`);
    assert.equal(answer.key, key);
    if (text !== undefined) assert.equal(Buffer.from(answer.payload).toString(), text);
  }
  const keys = [...new Set(promises.map(({ key }) => key))];
  const byKey = await shard.lookupMany(keys.map((key) => ({ key, storedKey: archiveKey(key) })));
  for (const [index, key] of keys.entries()) {
    const answer = byKey[index];
    assert.equal(answer?.kind, 'found', key);
    for (const promise of promises.filter((candidate) => candidate.key === key)) {
      assert.ok(compareCursors(decodeCursor(answer.cursor), decodeCursor(promise.cursor)) >= 0, `${key} went back`);
    }
  }
  await compareRecords(shard, events);
}

/** Every record in the archive was put, and none is there twice. */
async function compareRecords(shard: Shard, events: readonly ShardEvent[]): Promise<void> {
  const put = new Map<string, string>();
  for (const event of events) {
    if (event.kind !== 'attempted') continue;
    for (const [index, { key, payload }] of event.request.records.entries()) {
      put.set(`${event.request.putId}/${index}`, `${key}=${payload.toString()}`);
    }
  }
  const seen = new Set<string>();
  for await (const { value } of shard.freezer.records()) {
    const name = `${value.putId}/${value.recordIndex}`;
    assert.equal(`${value.key}=${Buffer.from(value.payload).toString()}`, put.get(name), 'nothing is invented');
    assert.ok(!seen.has(name), `${name} is stored twice`);
    seen.add(name);
  }
}

/** A put that had resolved and is sent again stores nothing and names the same records. */
async function compareRepeated(shard: Shard, clock: ManualClock, events: ShardEvent[]): Promise<void> {
  const resolved = events.filter((event) => event.kind === 'resolved').slice(-3);
  for (const event of resolved) {
    if (!event.result.records.every(({ outcome }) => outcome === 'stored')) continue;
    const again = await settled(shard.put({ ...event.request, redelivered: true }), clock);
    for (const [index, record] of again.records.entries()) {
      assert.equal(record.outcome, 'unchanged');
      assert.deepEqual(record.cursor, event.result.records[index]?.cursor);
    }
  }
}

function failSyncs(disk: SimulatedDisk, every: number, only: string | undefined): void {
  let count = 0;
  const isDue = (kind: string, path: string): boolean =>
    kind === 'sync' && (only === undefined || path === only) && ++count % every === 0;
  disk.failAt(({ kind, path }) => isDue(kind, path), 'eio', Number.POSITIVE_INFINITY);
}
