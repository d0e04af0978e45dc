import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBlob } from '../../src/blob/blob.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { HeadDigests } from '../../src/freezer/head-digests.ts';
import { Table } from '../../src/freezer/table.ts';
import { bucketSize, newestSlotAt, writeSlot } from '../../src/freezer/table-entry.ts';
import { mirroredNumberMax, TableMirror } from '../../src/freezer/table-mirror.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const tablePath = 'table/7461626c65';

/** A window of 64 buckets whose heads are at these positions of section 7. */
function windowOf(positions: readonly number[]): Buffer {
  const bytes = Buffer.alloc(64 * bucketSize);
  for (const [bucket, position] of positions.entries())
    writeSlot(bytes, bucket * bucketSize, { epoch: 3, section: 7, position, added: bucket });
  return bytes;
}

test('a table beyond the limit has no mirror', () => {
  const largest = 2 ** 22;
  assert.equal(TableMirror.of(largest * 2, 64), undefined);
  assert.equal(TableMirror.of(largest, 64)?.doubled(), undefined);
});

test('a doubled mirror has in its new half what it had in the old one', () => {
  const mirror = TableMirror.of(128, 64);
  assert.ok(mirror !== undefined);
  assert.ok(mirror.load(1, windowOf([100, 101])));
  const doubled = mirror.doubled();
  assert.deepEqual(
    [0, 1, 2, 3].map((number) => doubled?.has(number)),
    [false, true, false, true],
  );
  for (const first of [64, 192]) {
    assert.deepEqual(doubled?.head(first + 1), { section: 7, position: 101, added: 1 });
    assert.equal(doubled?.head(first + 2), undefined);
  }
});

test('a head whose numbers do not fit keeps its window out of the mirror', () => {
  const mirror = TableMirror.of(128, 64);
  assert.equal(mirror?.load(0, windowOf([5, mirroredNumberMax + 1])), false);
  assert.equal(mirror?.has(0), false);
  assert.equal(mirror?.load(0, windowOf([5, mirroredNumberMax])), true);
  assert.equal(mirror?.head(1)?.position, mirroredNumberMax);
});

test('what puts change is counted once, told in order, and forgotten when it is settled', () => {
  const mirror = TableMirror.of(128, 64);
  assert.ok(mirror?.load(0, windowOf([])) === true && mirror.load(1, windowOf([])));
  const changed = [127, 31, 0, 64, 32, 31, 63];
  for (const [position, bucket] of changed.entries()) mirror.change(bucket, { section: 1, position, added: 1 });
  assert.deepEqual([...mirror.changedBuckets()], [0, 31, 32, 63, 64, 127]);
  assert.equal(mirror.changedCount, 6);
  assert.equal(mirror.head(31)?.position, 5);
  mirror.settled();
  assert.deepEqual([mirror.changedCount, ...mirror.changedBuckets()], [0]);
  assert.equal(mirror.head(31)?.position, 5);
  mirror.resetCounts(0, 64);
  assert.deepEqual(
    [31, 64].map((bucket) => mirror.head(bucket)?.added),
    [0, 1],
  );
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

const mended = { ...namedSettings, tableInitialSize: 128, tableResizeFrequency: 2, tableResizeChunkSize: 128 };

/** Flips a bit in the newest slot of each bucket of the file. */
function rot(disk: SimulatedDisk): void {
  disk.mutate(tablePath, (bytes) => {
    for (let at = 8; at < bytes.length; at += bucketSize) {
      const newest = newestSlotAt(bytes, at);
      if (newest !== undefined) bytes.writeUInt8(bytes.readUInt8(newest + 16) ^ 1, newest + 16);
    }
    return bytes;
  });
}

/** A store whose table is mirrored, after one bit in the newest slot of each bucket in the file has flipped. */
async function rottenTable(
  count: number,
): Promise<{ readonly disk: SimulatedDisk; readonly freezer: Freezer<number> }> {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, mended, { kind: 'create' });
  for (let round = 0; round < 2; round++) {
    await freezer.putMany(Array.from({ length: count }, (_, value) => ({ key: key(`key${value}`), value })));
    if (round === 0) await freezer.sync();
  }
  await freezer.commit();
  rot(disk);
  return { disk, freezer };
}

async function assertMended(disk: SimulatedDisk, freezer: Freezer<number>, count: number): Promise<void> {
  const checkpoint = await freezer.sync();
  const table = freezer.tableState;
  await freezer.release();
  const again = await Freezer.open(disk, mended, { kind: 'clean', checkpoint, table });
  const keys = Array.from({ length: count }, (_, value) => ({ key: key(`key${value}`) }));
  assert.deepEqual(
    await again.getMany(keys),
    keys.map((_, value) => value),
  );
  await again.release();
}

test('a bucket that rots in the file is mended by a put to it', async () => {
  const { disk, freezer } = await rottenTable(40);
  await assertMended(disk, freezer, 40);
  assert.equal(freezer.resizing, undefined);
});

test('a bucket that rots in the file is mended by a resize', async () => {
  const { disk, freezer } = await rottenTable(1);
  await freezer.sync();
  rot(disk);
  const size = freezer.tableSize;
  const others = Array.from({ length: 400 }, (_, value) => `other${value}`);
  const bucketOf = (name: string): number => crc32c(key(name)) % size;
  const elsewhere = others.filter((name) => bucketOf(name) !== bucketOf('key0'));
  for (let round = 0; round < 2; round++)
    await freezer.putMany(elsewhere.map((name) => ({ key: key(name), value: 1 })));
  await freezer.sync();
  assert.equal(freezer.tableSize, size * 2, 'the table was doubled');
  await assertMended(disk, freezer, 1);
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
  assert.ok(table.has(31 * 64));
  assert.ok(!table.has(15 * 64));
  await table.close();
});

test('a disk that cannot give the neighbours is asked for the windows alone', async () => {
  const { disk, table } = await coldTable();
  const before = disk.log.length;
  disk.failAt((operation) => operation.kind === 'read' && (operation.size ?? 0) > 64 * bucketSize, 'eio');
  assert.deepEqual(await table.heads([17 * 64, 20 * 64]), [undefined, undefined]);
  assert.deepEqual(windowsRead(disk, before), [16, 1, 1]);
  assert.ok(table.has(17 * 64));
  assert.ok(!table.has(18 * 64));
  disk.failAt((operation) => operation.kind === 'read', 'eio', 2);
  await assert.rejects(table.heads([0]), { code: 'disk-failed' });
  await table.close();
});

test('a table that was scanned after a crash is warm: neither replay nor reads need it again', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, tableInitialSize: 1024, tableResizeFrequency: 8 };
  const keys = Array.from({ length: 400 }, (_, index) => key(`key${index}`));
  const first = await Freezer.open(disk, settings, { kind: 'create' });
  await first.putMany(keys.map((name, index) => ({ key: name, value: index })));
  const checkpoint = await first.sync();
  const { tableState: table } = first;
  await first.putMany(keys.slice(0, 300).map((name, index) => ({ key: name, value: 1000 + index })));
  await first.commit();
  await first.release();
  const clone = disk.clone();
  const readCount = (count: number): number =>
    clone.log.filter(({ kind, path }) => kind === 'read' && path === tablePath).length - count;
  const freezer = await Freezer.open(clone, settings, { kind: 'roll-forward', checkpoint, table });
  const opening = readCount(0);
  const samples = 64;
  assert.ok(opening <= 2 + samples, `${opening} reads: the header, the scan in one piece, and the chains sampled`);
  const found = await freezer.getMany(keys.map((name) => ({ key: name })));
  assert.deepEqual(
    found,
    keys.map((_, index) => (index < 300 ? 1000 + index : index)),
  );
  await freezer.putMany(keys.map((name, index) => ({ key: name, value: 2000 + index })));
  assert.equal(readCount(opening), 0);
  await freezer.release();
});
