import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { Checkpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { bucketSize, slotSize } from '../../src/freezer/table-entry.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const tablePath = 'table/7461626c65';
const headerSize = 8;
const twoBuckets = { tableInitialSize: 2, tableResizeFrequency: 1, tableResizeChunkSize: 1 };

function create(disk: SimulatedDisk, changes: Partial<FreezerSettings<number>>): Promise<Freezer<number>> {
  return Freezer.open(disk, { ...namedSettings, ...changes }, { kind: 'create' });
}

function bucketOf(name: string, tableSize: number): number {
  return crc32c(key(name)) & (tableSize - 1);
}

function bucketsIn(disk: SimulatedDisk): Buffer[] {
  const content = disk.bytesOf(tablePath).subarray(headerSize);
  return Array.from({ length: content.length / bucketSize }, (_, index) =>
    content.subarray(index * bucketSize, (index + 1) * bucketSize),
  );
}

async function assertFound(freezer: Freezer<number>, names: readonly string[]): Promise<void> {
  const found = await freezer.getMany(names.map((name) => ({ key: key(name) })));
  assert.deepEqual(
    found,
    names.map((name) => Number(name.slice(3))),
  );
}

async function putNamed(freezer: Freezer<number>, ...names: readonly string[]): Promise<void> {
  for (const name of names) await freezer.put(key(name), Number(name.slice(3)));
}

/** Syncs until no resize runs. */
async function finish(freezer: Freezer<number>): Promise<void> {
  do await freezer.sync();
  while (freezer.resizing !== undefined);
}

test('a thousand keys are found across all resizes, which are eight', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, tableInitialSize: 2, tableResizeFrequency: 2 };
  const freezer = await create(disk, settings);
  const names = Array.from({ length: 1000 }, (_, index) => `key${index}`);
  for (const name of names) {
    await putNamed(freezer, name);
    await freezer.sync();
  }
  assert.equal(freezer.counters.resizes, 8);
  await assertFound(freezer, names);
  const checkpoint = await freezer.close();
  const again = await Freezer.open(disk, settings, { kind: 'checkpoint', checkpoint });
  await assertFound(again, names);
  await again.close();
});

test('puts on both sides of a running resize are found, and only the copied side is written twice', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, twoBuckets);
  assert.deepEqual(
    ['key0', 'key2', 'key6', 'key3'].map((name) => bucketOf(name, 2)),
    [0, 1, 0, 1],
  );
  await putNamed(freezer, 'key0', 'key2');
  await freezer.sync();
  assert.equal(freezer.resizing, 1);

  await putNamed(freezer, 'key6');
  assert.equal(freezer.counters.unnecessaryWrites, 1);
  assert.equal(freezer.resizable, 3);
  await putNamed(freezer, 'key3');
  assert.equal(freezer.counters.unnecessaryWrites, 1);
  assert.equal(freezer.resizable, 3);

  await freezer.sync();
  assert.equal(freezer.resizing, undefined);
  assert.equal(freezer.tableSize, 4);
  assert.equal(freezer.resizable, 2);

  await putNamed(freezer, 'key4', 'key7');
  await freezer.sync();
  assert.equal(freezer.resizing, 1);
  const names = ['key0', 'key2', 'key6', 'key3', 'key4', 'key7'];
  await assertFound(freezer, names);
  await finish(freezer);
  assert.equal(freezer.resizable, 0);
  assert.equal(freezer.tableSize, 8);
  await assertFound(freezer, names);
  await freezer.close();
});

test('both halves are equal as far as a resize has come', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { ...twoBuckets, tableInitialSize: 8, tableResizeChunkSize: 3 });
  await putNamed(freezer, ...Array.from({ length: 12 }, (_, index) => `key${index}`));
  let round = 100;
  do {
    await freezer.sync();
    await putNamed(freezer, `key${round++}`, `key${round++}`, `key${round++}`);
    const progress = freezer.resizing ?? 0;
    const size = freezer.tableSize;
    await freezer.sync();
    const buckets = bucketsIn(disk);
    for (let bucket = 0; bucket < progress; bucket++) assert.deepEqual(buckets[bucket], buckets[bucket + size]);
  } while (round < 130);
  await freezer.close();
});

test('a resize that a crash interrupted starts anew when it is due, at the next sync', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, ...twoBuckets };
  const freezer = await create(disk, settings);
  await putNamed(freezer, 'key0', 'key2');
  const checkpoint: Checkpoint = await freezer.sync();
  assert.equal(freezer.resizing, 1);
  await freezer.release();

  const again = await Freezer.open(disk, settings, { kind: 'checkpoint', checkpoint });
  assert.equal(again.resizable, 1);
  assert.equal(again.resizing, undefined);
  await again.sync();
  assert.equal(again.resizing, 1);
  await finish(again);
  assert.equal(again.resizable, 0);
  await assertFound(again, ['key0', 'key2']);
  await again.close();
});

test('close completes a running resize, and may begin the next', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { ...twoBuckets, tableResizeChunkSize: 4, tableInitialSize: 4 });
  const names = Array.from({ length: 8 }, (_, index) => `key${index}`);
  assert.deepEqual(new Set(names.map((name) => bucketOf(name, 4))), new Set([0, 1, 2, 3]));
  await putNamed(freezer, ...names);
  await freezer.sync();
  assert.equal(freezer.tableSize, 8);
  await putNamed(freezer, ...names);
  const checkpoint = await freezer.close();
  assert.equal(checkpoint.tableSize, 8);
  assert.equal(bucketsIn(disk).length, 16);
  const again = await Freezer.open(disk, { ...namedSettings, ...twoBuckets }, { kind: 'checkpoint', checkpoint });
  await assertFound(again, names);
  assert.equal(bucketsIn(disk).length, 8);
  await again.close();
});

test('a bucket without records stays empty in both halves', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { tableInitialSize: 4, tableResizeFrequency: 1, tableResizeChunkSize: 4 });
  await putNamed(freezer, 'key0', 'key2');
  assert.notEqual(bucketOf('key0', 4), bucketOf('key2', 4));
  await freezer.close();
  const buckets = bucketsIn(disk);
  assert.equal(buckets.length, 8);
  assert.equal(buckets.filter((bucket) => bucket.every((byte) => byte === 0)).length, 4);
});

test('within an epoch a bucket changes one slot, and the other keeps the state before', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { tableInitialSize: 1, tableResizeFrequency: 100, tableResizeChunkSize: 100 });
  await finish(freezer);
  let before = bucketsIn(disk);
  for (let epoch = 0; epoch < 6; epoch++) {
    await putNamed(freezer, 'key0', 'key1', 'key2', 'key3');
    await freezer.sync();
    const after = bucketsIn(disk);
    for (const [index, bucket] of after.entries()) {
      const changed = [0, slotSize].filter(
        (at) => !bucket.subarray(at, at + slotSize).equals(before[index]?.subarray(at, at + slotSize) ?? bucket),
      );
      assert.ok(changed.length <= 1, `bucket ${index} in epoch ${epoch}`);
    }
    before = after.map((bucket) => Buffer.from(bucket));
  }
  await freezer.close();
});

test('more changed buckets than memory may hold are refused, and a sync makes room', async () => {
  const freezer = await create(new SimulatedDisk(), { tableChangesMax: 2 });
  const names = ['key0', 'key1', 'key2', 'key3'];
  assert.equal(new Set(names.map((name) => bucketOf(name, 256))).size, 4);
  await putNamed(freezer, 'key0', 'key1');
  await putNamed(freezer, 'key0');
  const full = { code: 'sync-required', details: { limit: 2, changed: 2, wanted: 1 } };
  await assert.rejects(putNamed(freezer, 'key2'), full);
  assert.equal(freezer.poisoned, undefined);
  await freezer.sync();
  assert.equal(freezer.changedCount, 0);
  await putNamed(freezer, 'key2', 'key3');
  await assertFound(freezer, names);
  await freezer.close();
});

test('what lies behind the table is cut off durably before the store is used', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, {});
  await putNamed(freezer, 'key1');
  const checkpoint = await freezer.sync();
  await freezer.release();
  const size = disk.bytesOf(tablePath).length;
  disk.mutate(tablePath, (bytes) => Buffer.concat([bytes, Buffer.from('deadbeef', 'hex')]));
  const again = await Freezer.open(disk, namedSettings, { kind: 'checkpoint', checkpoint });
  assert.equal(disk.crash('synced').bytesOf(tablePath).length, size);
  await again.close();
});

test('a bucket that is derived after a crash still counts as worth a resize', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, ...twoBuckets, tableInitialSize: 4 };
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  await putNamed(freezer, 'key0');
  await freezer.sync();
  await putNamed(freezer, 'key0');
  const checkpoint = await freezer.sync();
  assert.equal(freezer.resizable, 1);
  const at = headerSize + bucketOf('key0', 4) * bucketSize;
  const older = [at, at + slotSize].find((slot) => disk.bytesOf(tablePath).readUInt32BE(slot + 4) < checkpoint.epoch);
  assert.ok(older !== undefined);
  const killed = disk.crash('synced');
  killed.mutate(tablePath, (bytes) => bytes.fill(0xff, older + 10, older + 20));
  const again = await Freezer.open(killed, settings, { kind: 'roll-forward', checkpoint });
  assert.equal(again.resizable, 1);
  await again.release();
  await freezer.release();
});
