/** Reads while a sync doubles the table, and after one that failed in doing so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBlob } from '../../src/blob/blob.ts';
import { headerSize } from '../../src/blob/header.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { HeadDigests } from '../../src/freezer/head-digests.ts';
import { Table, tableBytes } from '../../src/freezer/table.ts';
import { tableFile } from '../../src/freezer/table-file.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, stretchedBuckets, stretchedSettings } from './named-keys.ts';

const buckets = stretchedBuckets;
const half = buckets / 2;
const settings = stretchedSettings;
const table = tableFile(settings);

for (const fault of ['eio', 'enospc'] as const) {
  test(`all keys are found when the fsync of a doubled table failed: ${fault}`, async () => {
    const disk = new SimulatedDisk();
    const before = await Freezer.open(disk, settings, { kind: 'create' });
    const names = Array.from({ length: 4000 }, (_, number) => `key${number}`);
    // What is put again below brings one stretch of the table into memory, and not the other.
    const isNewest = (name: string): boolean => crc32c(key(name)) % buckets < half;
    const ordered = [...names.filter((name) => !isNewest(name)), ...names.filter(isNewest)];
    await before.putMany(ordered.map((name) => ({ key: key(name), value: 1 })));
    const checkpoint = await before.sync();
    assert.equal(before.resizing, half, 'the next sync doubles the table');
    const state = before.tableState;
    await before.release();
    const freezer = await Freezer.open(disk, settings, { kind: 'clean', checkpoint, table: state, sealed: [] });
    const changed = names.filter(isNewest).slice(0, 40);
    await freezer.putMany(changed.map((name) => ({ key: key(name), value: 2 })));
    disk.failAt(({ kind, path }) => kind === 'sync' && path === table, fault);
    await assert.rejects(freezer.sync());
    assert.equal(disk.bytesOf(table).length, headerSize + tableBytes(2 * buckets));
    assert.deepEqual(
      await freezer.getMany(names.map((name) => ({ key: key(name) }))),
      names.map((name) => (changed.includes(name) ? 2 : 1)),
    );
    await freezer.release();
  });
}

test('a read goes on while the table outgrows its mirror', async () => {
  const disk = new SimulatedDisk();
  const size = 8192;
  const blob = await createBlob(disk, 'table', 'large');
  await blob.truncate(tableBytes(size * 2));
  const chunk = 64;
  const settings = { resizeFrequency: 4, resizeChunkSize: chunk, changesMax: 16, mirrorBytesMax: size * 9 };
  const doubling = new Table(blob, settings, size, {
    resizeProgress: size - chunk,
    resizable: 0,
    initialSize: size,
    digests: HeadDigests.ofEmpty(size),
  });
  // Each at the start of a stretch of windows that are read together.
  const [mirrored, other] = [5, 6144];
  await doubling.heads([mirrored]);
  const read = disk.hold(({ kind, offset }) => kind === 'read' && offset === headerSize + tableBytes(other));
  const heads = doubling.heads([mirrored, other]);
  await read.reached;
  await doubling.sync(2, { finish: false });
  assert.equal(doubling.size, size * 2);
  read.release();
  assert.deepEqual(await heads, [undefined, undefined]);
  await doubling.close();
});
