import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBlob } from '../../src/blob/blob.ts';
import { HeadDigests } from '../../src/freezer/head-digests.ts';
import { Table, tableBytes } from '../../src/freezer/table.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

test('many buckets of a large table are loaded a part at a time, and no window twice', async () => {
  const disk = new SimulatedDisk();
  const size = 2 ** 20;
  const blob = await createBlob(disk, 'table', 'large');
  await blob.truncate(tableBytes(size));
  const table = new Table(
    blob,
    { resizeFrequency: 4, resizeChunkSize: 64, changesMax: size, mirrorBytesMax: 0 },
    size,
    {
      resizeProgress: undefined,
      resizable: 0,
      initialSize: size,
      digests: HeadDigests.ofEmpty(size),
    },
  );
  // Buckets as keys come: each one is in another window than the one before, and two are in each.
  const buckets = Array.from(
    { length: 20_000 },
    (_, index) => ((index % 10_000) * 64 + Math.floor(index / 10_000)) >>> 0,
  );
  await table.load(buckets);
  assert.equal(table.changedCount, buckets.length);
  const reads = disk.log.filter(({ kind }) => kind === 'read');
  const moments = reads.flatMap(({ issued, ended, size: bytes = 0 }) => [
    { moment: issued, bytes },
    { moment: ended ?? 0, bytes: -bytes },
  ]);
  let held = 0;
  let most = 0;
  for (const { bytes } of moments.sort((left, right) => left.moment - right.moment)) {
    held += bytes;
    most = Math.max(most, held);
  }
  assert.ok(most <= 16 * 1024 * 1024, `${most} bytes were read together`);
  assert.ok(reads.length < 10_010, `${reads.length} reads of 10,000 windows`);
  await table.close();
});
