import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerSize } from '../../src/blob/header.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { bucketSize } from '../../src/freezer/table-entry.ts';
import { tableFile } from '../../src/freezer/table-file.ts';
import { turns } from '../shard/shard-harness.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, stretchedBuckets, stretchedSettings } from './named-keys.ts';

const buckets = stretchedBuckets;
const half = buckets / 2;
const settings = stretchedSettings;
const table = tableFile(settings);

test('a get that meets a bucket while it is being written waits, and reads it again', async () => {
  const disk = new SimulatedDisk();
  const before = await Freezer.open(disk, settings, { kind: 'create' });
  const bucketOf = (name: string): number => crc32c(key(name)) % buckets;
  const names = Array.from({ length: 4000 }, (_, number) => `key${number}`);
  // Opening looks at the newest records, and must not have brought the bucket that is asked for into memory.
  const newest = names.filter((name) => bucketOf(name) < half);
  const older = names.filter((name) => bucketOf(name) >= half);
  const entries = [...older, ...newest].map((name) => ({ key: key(name), value: Number(name.slice(3)) }));
  await before.putMany(entries);
  const checkpoint = await before.sync();
  assert.equal(before.resizing, half, 'the next chunk is the other half');
  const state = before.tableState;
  await before.release();
  const start = { kind: 'clean', checkpoint, table: state, sealed: [] } as const;
  const freezer = await Freezer.open(disk, settings, start);

  const bucket = half + 200;
  const met = older.find((name) => bucketOf(name) === bucket) ?? assert.fail();
  const write = disk.hold(({ kind, path }) => kind === 'write' && path === table);
  const sync = freezer.sync();
  await write.reached;
  disk.mutate(table, (bytes) =>
    bytes.fill(0xff, headerSize + bucket * bucketSize, headerSize + (bucket + 1) * bucketSize),
  );
  const read = disk.hold(({ kind, path }) => kind === 'read' && path === table);
  let answered = false;
  const got = freezer.get({ key: key(met) }).finally(() => {
    answered = true;
  });
  got.catch(() => {});
  await read.reached;
  read.release();
  await turns(20);
  assert.ok(!answered, 'nothing is said about a bucket that is being written');
  write.release();
  assert.equal(await got, Number(met.slice(3)));
  await sync;
  await freezer.close();
});
