import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { PairStore } from './pair-store.ts';

const pageSize = 64;
/** So many records of 20 bytes end with a page. */
const wholePagesCount = 16;

test('what was written to make room is made durable by the next commit, though nothing came after it', async () => {
  const disk = new SimulatedDisk();
  const store = await PairStore.create(disk, pageSize);
  const ids = Array.from({ length: wholePagesCount }, (_, index) => index + 1);
  await store.append(...ids);
  await store.oversized.overflow();
  assert.ok(disk.undurableCount > 0);
  await store.commit();
  assert.equal(disk.undurableCount, 0);
  await store.close();
  const recovered = await PairStore.recover(disk.crash('synced'), { pageSize });
  assert.deepEqual(await recovered.ids(0), ids);
  await recovered.close();
});

test('a commit waits for both files, also when one of them fails', async () => {
  const disk = new SimulatedDisk();
  const store = await PairStore.create(disk, pageSize);
  await store.append(1);
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/'));
  disk.failAt(({ kind, path }) => kind === 'sync' && path.startsWith('key/'), 'eio');
  let over = false;
  const commit = assert.rejects(store.commit(), { code: 'disk-failed' }).finally(() => {
    over = true;
  });
  await hold.reached;
  await new Promise(setImmediate);
  assert.equal(over, false);
  hold.release();
  await commit;
  await store.close();
});
