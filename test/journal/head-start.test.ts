import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Issued, Logged } from '../simulation/gate.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { frameSize, PairStore } from './pair-store.ts';

const isValueWrite = ({ kind, path }: Issued): boolean => kind === 'write' && path.startsWith('value/');
const isValueSync = ({ kind, path }: Issued): boolean => kind === 'sync' && path.startsWith('value/');
const isKeySync = ({ kind, path }: Issued): boolean => kind === 'sync' && path.startsWith('key/');

/** So many pairs are worth a head start. */
const manyCount = 7;
const many = Array.from({ length: manyCount }, (_, index) => index + 1);

/** A store with many pairs in memory, and the disk's log from then on. */
async function storeWithMany(): Promise<{ disk: SimulatedDisk; store: PairStore; logged: () => readonly Logged[] }> {
  const disk = new SimulatedDisk();
  const store = await PairStore.create(disk);
  await store.append(...many);
  const before = disk.log.length;
  return { disk, store, logged: () => disk.log.slice(before) };
}

test('many values are durable ahead of their commit, which writes only what came later', async () => {
  const { disk, store, logged } = await storeWithMany();
  await store.oversized.headStart();
  assert.deepEqual(
    logged().map(({ kind, path }) => `${kind} ${path.split('/')[0]}`),
    ['write value', 'sync value'],
  );
  assert.equal(disk.undurableCount, 0);
  await store.append(99);
  await store.commit();
  assert.deepEqual(
    logged()
      .filter(isValueWrite)
      .map(({ size }) => size),
    [manyCount * frameSize, frameSize],
  );
  assert.deepEqual(await store.ids(0), [...many, 99]);
  await store.close();
});

test('few values get no head start', async () => {
  const disk = new SimulatedDisk();
  const store = await PairStore.create(disk);
  await store.append(...many.slice(1));
  assert.equal(store.oversized.headStart(), undefined);
  await store.close();
});

test('what is begun ahead is read from memory, and nothing further begins before its write has ended', async () => {
  const { disk, store } = await storeWithMany();
  const hold = disk.hold(isValueWrite);
  const started = store.oversized.headStart();
  await hold.reached;
  await store.append(...many);
  assert.equal(store.oversized.headStart(), undefined);
  assert.deepEqual(await store.ids(0), [...many, ...many]);
  hold.release();
  await started;
  await store.oversized.headStart();
  assert.deepEqual(await store.ids(0), [...many, ...many]);
  await store.close();
});

test('the next write goes on beside the fsync, and an fsync is begun behind one that ended', async () => {
  const { disk, store, logged } = await storeWithMany();
  const hold = disk.hold(isValueSync);
  const first = store.oversized.headStart();
  await hold.reached;
  await store.append(...many);
  await store.oversized.headStart();
  assert.equal(logged().filter(isValueWrite).length, 2);
  hold.release();
  await first;
  assert.equal(logged().filter(isValueSync).length, 1);
  await store.commit();
  assert.equal(disk.undurableCount, 0);
  await store.close();
});

test('no record names what was written ahead when a crash comes before its commit', async () => {
  const { disk, store } = await storeWithMany();
  disk.failAt(isValueSync, 'crash');
  await assert.rejects(async () => store.oversized.headStart());
  const recovered = await PairStore.recover(disk.crash('synced'));
  assert.deepEqual(await recovered.ids(0), []);
  await recovered.close();
});

for (const fault of ['eio', 'enospc'] as const) {
  test(`an fsync ahead that fails with ${fault} fails the commit, though the commit's own would succeed`, async () => {
    const { disk, store } = await storeWithMany();
    disk.failAt(isValueSync, fault);
    const started = store.oversized.headStart();
    await store.oversized.written();
    await store.append(99);
    const commit = store.commit();
    await assert.rejects(async () => started);
    await assert.rejects(commit, { code: fault === 'eio' ? 'disk-failed' : 'disk-full' });
    await store.append(100);
    await assert.rejects(store.commit(), 'and every later one');
    await store.close();
  });
}

test('a commit waits for the fsync ahead of it', async () => {
  const { disk, store } = await storeWithMany();
  let syncs = 0;
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/') && syncs++ === 0);
  const started = store.oversized.headStart();
  await hold.reached;
  let over = false;
  const commit = store.commit().finally(() => {
    over = true;
  });
  await new Promise(setImmediate);
  assert.equal(over, false);
  hold.release();
  await Promise.all([started, commit]);
  await store.close();
});

test('nothing begins ahead while a commit runs: an fsync of its own could hear of the bytes that the commit lost', async () => {
  const { disk, store } = await storeWithMany();
  const hold = disk.hold(isKeySync);
  const commit = store.commit();
  await hold.reached;
  await store.append(...many);
  assert.equal(store.oversized.headStart(), undefined);
  hold.release();
  await commit;
  await store.oversized.headStart();
  await store.close();
});

test('a store that is closed beneath a head start begins no further fsync', async () => {
  const { disk, store, logged } = await storeWithMany();
  const hold = disk.hold(isValueWrite);
  const started = store.oversized.headStart();
  await hold.reached;
  const closing = store.close();
  hold.release();
  await Promise.all([started, closing]);
  assert.equal(logged().filter(isValueSync).length, 0);
  assert.deepEqual(disk.openHandles, []);
});
