import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Freezer } from '../../src/freezer/freezer.ts';
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
