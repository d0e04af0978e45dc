import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Checkpoint } from '../../src/freezer/checkpoint.ts';
import type { Cursor } from '../../src/freezer/cursor.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import type { StoredRecord } from '../../src/freezer/records.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { Random } from '../simulation/random.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

function create(disk: SimulatedDisk, changes: Partial<FreezerSettings<number>> = {}): Promise<Freezer<number>> {
  return Freezer.open(disk, { ...namedSettings, ...changes }, { kind: 'create' });
}

function reopen(disk: SimulatedDisk, checkpoint: Checkpoint): Promise<Freezer<number>> {
  return Freezer.open(disk, namedSettings, { kind: 'checkpoint', checkpoint });
}

for (const [name, valueCompression] of [
  ['without compression', undefined],
  ['with compression', 3],
] as const) {
  test(`a value is missing before its put and found after it, ${name}`, async () => {
    const disk = new SimulatedDisk();
    const freezer = await create(disk, { valueCompression });
    assert.equal(await freezer.get({ key: key('testkey') }), undefined);
    await freezer.put(key('testkey'), 42);
    assert.equal(await freezer.get({ key: key('testkey') }), 42);
    const { puts, gets, unnecessaryReads } = freezer.counters;
    assert.deepEqual({ puts, gets, unnecessaryReads }, { puts: 1, gets: 2, unnecessaryReads: 0 });
    await freezer.sync();
    assert.equal(await freezer.get({ key: key('testkey') }), 42);
    await freezer.close();
    assert.deepEqual(disk.openHandles, []);
  });
}

test('many keys are found before any sync, one by one and together', async () => {
  const freezer = await create(new SimulatedDisk());
  const names = ['key1', 'key2', 'key3', 'key4', 'key5'];
  for (const [value, name] of names.entries()) await freezer.put(key(name), value);
  for (const [value, name] of names.entries()) assert.equal(await freezer.get({ key: key(name) }), value);
  const together = await freezer.getMany([...names, 'missing'].map((name) => ({ key: key(name) })));
  assert.deepEqual(together, [0, 1, 2, 3, 4, undefined]);
  await freezer.release();
});

test('keys of one bucket hang on one chain, the newest first', async () => {
  const freezer = await create(new SimulatedDisk(), { tableInitialSize: 4 });
  const names = Array.from({ length: 8 }, (_, index) => `key${index + 1}`);
  for (const [value, name] of names.entries()) await freezer.put(key(name), value);
  await freezer.sync();
  for (const [value, name] of names.entries()) assert.equal(await freezer.get({ key: key(name) }), value);
  const { gets, unnecessaryReads } = freezer.counters;
  assert.deepEqual({ gets, unnecessaryReads }, { gets: 8, unnecessaryReads: 5 });
  await freezer.close();
});

test('putMany gives the cursors and positions of single puts', async () => {
  const [one, many] = await Promise.all([create(new SimulatedDisk()), create(new SimulatedDisk())]);
  const entries = Array.from({ length: 20 }, (_, value) => ({ key: key(`key${value % 7}`), value }));
  const cursors: Cursor[] = [];
  for (const entry of entries) cursors.push(await one.put(entry.key, entry.value));
  const appended = await many.putMany(entries);
  assert.deepEqual(
    appended.map(({ cursor }) => cursor),
    cursors,
  );
  assert.deepEqual(
    appended.map(({ position }) => position),
    entries.map((_, position) => ({ section: 0, position })),
  );
  assert.deepEqual(await one.sync(), await many.sync());
  assert.deepEqual(await many.putMany([]), []);
  await Promise.all([one.release(), many.release()]);
});

test('putting a key again adds a version, and the newest is found', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('other'), 7);
  for (const value of [1, 2]) await freezer.put(key('key'), value);
  const checkpoint = await freezer.sync();
  await freezer.put(key('key'), 3);
  const values: number[] = [];
  for await (const version of freezer.versions(key('key'))) values.push(version.value);
  assert.deepEqual(values, [3, 2, 1]);
  assert.equal(await freezer.get({ key: key('key') }), 3);
  await freezer.release();
  const again = await reopen(disk, checkpoint);
  assert.equal(await again.get({ key: key('key') }), 2);
  await again.close();
});

test('has tells whether a key has a record and counts by itself', async () => {
  const freezer = await create(new SimulatedDisk());
  await freezer.put(key('there'), 1);
  assert.equal(await freezer.has(key('there')), true);
  assert.equal(await freezer.has(key('missing')), false);
  const { gets, has } = freezer.counters;
  assert.deepEqual({ gets, has }, { gets: 0, has: 2 });
  await freezer.release();
});

test('a cursor finds its value without the table, before and after a sync', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  const cursors = [await freezer.put(key('a'), 1), await freezer.put(key('a'), 2)];
  const read = (from: Freezer<number>) => from.getMany(cursors.map((cursor) => ({ cursor })));
  assert.deepEqual(await read(freezer), [1, 2]);
  const checkpoint = await freezer.close();
  const again = await reopen(disk, checkpoint);
  assert.deepEqual(await read(again), [1, 2]);
  await again.release();
});

test('a cursor that never existed is an error of its own, never a value and never missing', async () => {
  const freezer = await create(new SimulatedDisk());
  const cursor = await freezer.put(key('a'), 1);
  await freezer.sync();
  const wrong = [
    { ...cursor, section: 5 },
    { ...cursor, size: 3 },
    { ...cursor, size: 7 },
    { ...cursor, offset: 1000 },
    { ...cursor, offset: Number.MAX_SAFE_INTEGER },
  ];
  const lookups = await freezer.lookupMany([...wrong.map((each) => ({ cursor: each })), { cursor }, { key: key('b') }]);
  assert.deepEqual(
    lookups.map(({ kind }) => kind),
    ['failed', 'failed', 'failed', 'failed', 'failed', 'found', 'missing'],
  );
  for (const each of wrong) await assert.rejects(freezer.get({ cursor: each }));
  await freezer.release();
});

test('records come in the order of the archive, with their keys, places and chains', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { valueTargetSize: 20, tableInitialSize: 2 });
  const names = Array.from({ length: 9 }, (_, index) => `key${index % 4}`);
  for (const [value, name] of names.entries()) await freezer.put(key(name), value);
  const found: StoredRecord<number>[] = [];
  for await (const record of freezer.records()) found.push(record);
  assert.deepEqual(
    found.map((record) => [record.value, record.position.section, record.position.position]),
    names.map((_, value) => [value, Math.floor(value / 3), value % 3]),
  );
  assert.deepEqual(
    found.map((record) => record.key),
    names.map((name) => key(name)),
  );
  for (const record of found) {
    assert.equal(await freezer.get({ cursor: record.cursor }), record.value);
    if (record.next === undefined) continue;
    const { section, position } = record.next;
    assert.ok(section * 3 + position < record.value, 'a chain goes backwards');
  }
  await freezer.release();
});

test('a section is left at the first put behind its target size, whatever the value that exceeded it', async () => {
  const disk = new SimulatedDisk();
  const sealed: number[] = [];
  const freezer = await Freezer.open(
    disk,
    { ...namedSettings, valueTargetSize: 16 },
    { kind: 'create' },
    {
      sealed: async (end) => {
        sealed.push(end.section);
        assert.equal(end.valueBytes, 16);
        assert.ok(!disk.files().includes(`value/${String(end.section + 1).padStart(16, '0')}`));
      },
    },
  );
  const sections: number[] = [];
  for (let value = 0; value < 5; value++) sections.push((await freezer.put(key(`key${value}`), value)).section);
  assert.deepEqual(sections, [0, 0, 1, 1, 2]);
  assert.deepEqual(sealed, [0, 1]);
  assert.deepEqual(freezer.counters.keySections, { tracked: 3, synced: 2, pruned: 0 });
  const checkpoint = await freezer.close();
  assert.deepEqual([checkpoint.section, checkpoint.keyBytes], [2, 92]);
});

test('a key of another size is refused, and nothing was appended', async () => {
  const freezer = await create(new SimulatedDisk());
  const wrong = Buffer.alloc(63);
  const refusal = { code: 'invalid-key', message: /key has 63 bytes; this store's have 64/ };
  await assert.rejects(
    freezer.putMany([
      { key: key('fine'), value: 1 },
      { key: wrong, value: 2 },
    ]),
    refusal,
  );
  await assert.rejects(freezer.get({ key: wrong }), refusal);
  await assert.rejects(freezer.has(wrong), refusal);
  assert.equal(await freezer.get({ key: key('fine') }), undefined);
  assert.equal(freezer.poisoned, undefined);
  await freezer.put(key('fine'), 3);
  assert.equal(await freezer.get({ key: key('fine') }), 3);
  await freezer.release();
});

test('puts that are made side by side are all there, each with its own value', async () => {
  const freezer = await create(new SimulatedDisk({ jitterSeed: 7 }), { tableInitialSize: 8, valueTargetSize: 100 });
  const values = Array.from({ length: 100 }, (_, value) => value);
  await Promise.all([
    ...values.map((value) => freezer.put(key(`key${value}`), value)),
    freezer.commit(),
    freezer.sync(),
    freezer.commit(),
  ]);
  const found = await freezer.getMany(values.map((value) => ({ key: key(`key${value}`) })));
  assert.deepEqual(found, values);
  await freezer.close();
});

test('after destroy the place is empty, and a new store begins there', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { valueTargetSize: 8 });
  for (const value of [1, 2, 3]) await freezer.put(key(`key${value}`), value);
  await freezer.sync();
  await freezer.destroy();
  assert.deepEqual(disk.crash('synced').files(), []);
  assert.deepEqual(disk.openHandles, []);
  const next = await create(disk);
  assert.equal(await next.get({ key: key('key1') }), undefined);
  await next.put(key('key1'), 9);
  assert.equal(await next.get({ key: key('key1') }), 9);
  await next.close();
});

test('a closed freezer says so', async () => {
  const freezer = await create(new SimulatedDisk());
  await freezer.close();
  const closed = { code: 'closed' };
  await assert.rejects(freezer.put(key('a'), 1), closed);
  await assert.rejects(freezer.get({ key: key('a') }), closed);
  await assert.rejects(freezer.commit(), closed);
  await assert.rejects(freezer.sync(), closed);
  await freezer.release();
});

test('the same operations write the same bytes, and all that was put is found', async () => {
  const settings = { valueTargetSize: 128, tableInitialSize: 8, tableResizeFrequency: 2 };
  const [first, second] = await Promise.all([1, 2].map((jitterSeed) => randomStore(jitterSeed, settings)));
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual(first.snapshot(), second.snapshot());
});

/** A store after random puts, syncs and a reopening; whose contents were compared on the way. */
async function randomStore(jitterSeed: number, changes: Partial<FreezerSettings<number>>): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ jitterSeed });
  const random = new Random(99);
  const model = new Map<string, number>();
  let freezer = await create(disk, changes);
  for (let value = 0; value < 300; value++) {
    const name = `key${random.below(200)}`;
    await freezer.put(key(name), value);
    model.set(name, value);
    if (random.chance(0.1)) await freezer.sync();
    if (value !== 150) continue;
    const checkpoint = await freezer.close();
    freezer = await Freezer.open(disk, { ...namedSettings, ...changes }, { kind: 'checkpoint', checkpoint });
  }
  const found = await freezer.getMany([...model.keys()].map((name) => ({ key: key(name) })));
  assert.deepEqual(found, [...model.values()]);
  for (let index = 0; index < 10; index++) assert.equal(await freezer.has(key(`unknown${index}`)), false);
  await freezer.close();
  return disk;
}

test('values of puts that found no room in memory are taken back, and the next one lies where they were', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { tableChangesMax: 1 });
  const first = await freezer.put(key('key0'), 0);
  const { end } = freezer;
  const entries = [1, 2, 3].map((value) => ({ key: key(`key${value}`), value }));
  await assert.rejects(freezer.putMany(entries), { code: 'sync-required' });
  assert.deepEqual(freezer.end, end);
  await freezer.sync();
  const next = await freezer.put(key('key9'), 9);
  assert.deepEqual([next.section, next.offset], [first.section, first.offset + first.size]);
  const checkpoint = await freezer.sync();
  await freezer.release();
  const again = await Freezer.open(disk, { ...namedSettings, tableChangesMax: 1 }, { kind: 'checkpoint', checkpoint });
  const found = await again.getMany(['key0', 'key1', 'key9'].map((name) => ({ key: key(name) })));
  assert.deepEqual(found, [0, undefined, 9]);
  await again.release();
});

test('gets of what memory has let the event loop turn, one after the other, side by side and together', async () => {
  const freezer = await create(new SimulatedDisk());
  const keys = Array.from({ length: 1000 }, (_, index) => ({ key: key(`key${index % 10}`) }));
  await freezer.putMany(keys.slice(0, 10).map((entry, value) => ({ ...entry, value })));
  await freezer.sync();
  const turnsOf = async (work: () => Promise<unknown>): Promise<number> => {
    let turns = 0;
    let isWorking = true;
    const count = (): void => {
      turns++;
      if (isWorking) setImmediate(count);
    };
    setImmediate(count);
    await work();
    isWorking = false;
    return turns;
  };
  const oneByOne = await turnsOf(async () => {
    for (const identifier of keys) await freezer.get(identifier);
  });
  const sideBySide = await turnsOf(() => Promise.all(keys.map((identifier) => freezer.get(identifier))));
  const together = await turnsOf(() => freezer.getMany(keys));
  for (const turns of [oneByOne, sideBySide, together]) assert.ok(turns >= 7, `${turns} turns`);
  await freezer.release();
});
