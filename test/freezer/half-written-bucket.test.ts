import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerSize } from '../../src/blob/header.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { bucketSize } from '../../src/freezer/table-entry.ts';
import { tableFile } from '../../src/freezer/table-file.ts';
import { turns } from '../shard/shard-harness.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const settings = { ...namedSettings, tableInitialSize: 2, tableResizeFrequency: 1, tableResizeChunkSize: 1 };
const path = tableFile(settings);

/** The first name whose key is in this of the two buckets. */
function nameIn(bucket: number): string {
  for (let index = 0; ; index++) if ((crc32c(key(`key${index}`)) & 1) === bucket) return `key${index}`;
}

test('a get that meets a bucket while it is being written waits, and reads it again', async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  for (const bucket of [0, 1]) await freezer.put(key(nameIn(bucket)), bucket);
  await freezer.sync();
  assert.equal(freezer.resizing, 1, 'the next sync copies bucket 1');
  const at = headerSize + bucketSize;
  const hold = disk.hold(({ kind, path: of, offset }) => kind === 'write' && of === path && offset === at);
  const syncing = freezer.sync();
  await hold.reached;
  disk.mutate(path, (bytes) => bytes.fill(0xff, at, at + 10));
  let answered = false;
  const got = freezer.get({ key: key(nameIn(1)) }).finally(() => {
    answered = true;
  });
  got.catch(() => {});
  await turns(20);
  assert.ok(!answered, 'nothing is said about a bucket that is being written');
  hold.release();
  await syncing;
  assert.equal(await got, 1);
  await freezer.close();
});
