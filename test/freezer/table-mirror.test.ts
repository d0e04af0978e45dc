import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBlob } from '../../src/blob/blob.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { HeadDigests } from '../../src/freezer/head-digests.ts';
import { Table } from '../../src/freezer/table.ts';
import { bucketSize } from '../../src/freezer/table-entry.ts';
import { mirrorBytesMax, TableMirror } from '../../src/freezer/table-mirror.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const tablePath = 'table/7461626c65';

test('a table beyond the limit has no mirror', () => {
  const largest = 2 ** Math.floor(Math.log2(mirrorBytesMax / bucketSize));
  assert.equal(TableMirror.of(largest * 2, 64), undefined);
  assert.equal(TableMirror.of(largest, 64)?.doubled(), undefined);
});

test('a doubled mirror has in its new half what it had in the old one', () => {
  const mirror = TableMirror.of(128, 64);
  assert.ok(mirror !== undefined);
  const window = Buffer.alloc(64 * bucketSize, 7);
  mirror.load(1, window);
  const doubled = mirror.doubled();
  assert.deepEqual(
    [0, 1, 2, 3].map((number) => doubled?.has(number)),
    [false, true, false, true],
  );
  assert.ok(doubled?.bytes.subarray(3 * window.length).equals(window));
});

test('a warm table is not read again, not after syncs and a resize either', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, tableInitialSize: 64, tableResizeFrequency: 2, tableResizeChunkSize: 16 };
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  const keys = Array.from({ length: 200 }, (_, index) => key(`key${index}`));
  const tableReads = (): number => disk.log.filter(({ kind, path }) => kind === 'read' && path === tablePath).length;
  for (let round = 0; round < 12; round++) {
    for (const [index, name] of keys.entries()) await freezer.put(name, round * 1000 + index);
    await freezer.sync();
    const before = tableReads();
    const found = await freezer.getMany(keys.map((name) => ({ key: name })));
    assert.deepEqual(
      found,
      keys.map((_, index) => round * 1000 + index),
    );
    assert.equal(tableReads() - before, 0, `round ${round}, ${freezer.tableSize} buckets`);
  }
  assert.ok(freezer.tableSize >= 256, `${freezer.tableSize} buckets`);
  await freezer.release();
});

/** A table of 32 windows on a disk, that nothing was read of. */
async function coldTable(): Promise<{ readonly disk: SimulatedDisk; readonly table: Table }> {
  const disk = new SimulatedDisk();
  const size = 32 * 64;
  const blob = await createBlob(disk, 'table', '7461626c65');
  await blob.truncate(size * bucketSize);
  const digests = HeadDigests.ofEmpty(size);
  const state = { resizeProgress: undefined, resizable: 0, initialSize: size, digests };
  return { disk, table: new Table(blob, { resizeFrequency: 4, resizeChunkSize: 64, changesMax: 16 }, size, state) };
}

/** The windows that each read of the table since `from` covered. */
function windowsRead(disk: SimulatedDisk, from: number): number[] {
  const reads = disk.log.slice(from).filter(({ kind, path }) => kind === 'read' && path === tablePath);
  return reads.map(({ size }) => (size ?? 0) / (64 * bucketSize));
}

test('few windows are read with their neighbours, which are in memory from then on', async () => {
  const { disk, table } = await coldTable();
  const before = disk.log.length;
  assert.deepEqual(await table.heads([17 * 64, 20 * 64]), [undefined, undefined]);
  assert.deepEqual(windowsRead(disk, before), [16]);
  assert.notEqual(table.peek(31 * 64), undefined);
  assert.equal(table.peek(15 * 64), undefined);
  await table.close();
});

test('a disk that cannot give the neighbours is asked for the windows alone', async () => {
  const { disk, table } = await coldTable();
  const before = disk.log.length;
  disk.failAt((operation) => operation.kind === 'read' && (operation.size ?? 0) > 64 * bucketSize, 'eio');
  assert.deepEqual(await table.heads([17 * 64, 20 * 64]), [undefined, undefined]);
  assert.deepEqual(windowsRead(disk, before), [16, 1, 1]);
  assert.notEqual(table.peek(17 * 64), undefined);
  assert.equal(table.peek(18 * 64), undefined);
  disk.failAt((operation) => operation.kind === 'read', 'eio', 2);
  await assert.rejects(table.heads([0]), { code: 'disk-failed' });
  await table.close();
});
