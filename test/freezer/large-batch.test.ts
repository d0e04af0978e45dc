import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Freezer } from '../../src/freezer/freezer.ts';
import { bytesCodec } from '../../src/freezer/value-codec.ts';
import type { Issued } from '../simulation/gate.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const settings = { ...namedSettings, valueCodec: bytesCodec, keyWriteBuffer: 1 << 20, valueWriteBuffer: 1 << 16 };
const valueSize = 1000;

/** Values of a batch that is several times what the buffer of values holds. */
const entries = Array.from({ length: 300 }, (_, index) => ({
  key: key(`key${index}`),
  value: Buffer.alloc(valueSize, index),
}));

const isValueWrite = ({ kind, path }: Issued): boolean => kind === 'write' && path.startsWith('value/');
const isValueSync = ({ kind, path }: Issued): boolean => kind === 'sync' && path.startsWith('value/');
const isKeySync = ({ kind, path }: Issued): boolean => kind === 'sync' && path.startsWith('key/');

/** A freezer whose files are there. */
async function started(disk: SimulatedDisk): Promise<Freezer<Uint8Array>> {
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  await freezer.put(key('first'), Buffer.from('first'));
  await freezer.commit();
  return freezer;
}

async function valuesOf(freezer: Freezer<Uint8Array>): Promise<(Buffer | undefined)[]> {
  const found = await freezer.getMany(entries.map((entry) => ({ key: entry.key })));
  return found.map((value) => value && Buffer.from(value));
}

test('a large batch is on its way to the disk before its commit, and is there after a crash behind it', async () => {
  const disk = new SimulatedDisk();
  const freezer = await started(disk);
  const checkpoint = await freezer.sync();
  const before = disk.log.length;
  await freezer.putMany(entries);
  const ahead = disk.log.slice(before).filter(isValueWrite);
  assert.ok(ahead.reduce((sum, { size = 0 }) => sum + size, 0) > (entries.length * valueSize) / 2);
  assert.equal(
    disk.log.slice(before).filter(({ kind, path }) => kind === 'write' && !path.startsWith('value/')).length,
    0,
  );
  const mark = await freezer.commit();
  assert.equal(disk.undurableCount, 0);
  await freezer.release();
  const again = await Freezer.open(disk.crash('synced'), settings, { kind: 'roll-forward', checkpoint, mark });
  assert.deepEqual(
    await valuesOf(again),
    entries.map(({ value }) => value),
  );
  await again.release();
});

test('puts during a commit begin no write of values, however many they are', async () => {
  const disk = new SimulatedDisk();
  const freezer = await started(disk);
  await freezer.put(key('second'), Buffer.from('second'));
  const hold = disk.hold(isKeySync);
  const commit = freezer.commit();
  await hold.reached;
  await new Promise(setImmediate);
  const { steps } = disk;
  await freezer.putMany(entries.slice(0, 50));
  await new Promise(setImmediate);
  assert.equal(disk.steps, steps);
  hold.release();
  await commit;
  await freezer.close();
});

for (const [what, filter] of [
  ['write', isValueWrite],
  ['fsync', isValueSync],
] as const) {
  test(`a ${what} ahead of its commit that fails poisons the freezer: the commit is refused, gets go on`, async () => {
    const disk = new SimulatedDisk();
    const freezer = await started(disk);
    const { committed } = freezer;
    const fault = disk.failAt(filter, 'eio');
    await freezer.putMany(entries.slice(0, 40));
    await new Promise(setImmediate);
    assert.equal(fault.hits, 1);
    const poisoned = { code: 'poisoned', fatal: true };
    await assert.rejects(freezer.put(key('more'), Buffer.from('more')), poisoned);
    await assert.rejects(freezer.commit(), poisoned);
    await assert.rejects(freezer.sync(), poisoned);
    assert.deepEqual(freezer.committed, committed);
    assert.deepEqual(Buffer.from((await freezer.get({ key: key('key7') })) ?? []), entries[7]?.value);
    await freezer.release();
    assert.deepEqual(disk.openHandles, []);
  });
}

test('a commit that meets the failing write ahead of it fails with what failed', async () => {
  const disk = new SimulatedDisk();
  const freezer = await started(disk);
  const hold = disk.hold(isValueWrite);
  disk.failAt(isValueWrite, 'enospc');
  await freezer.putMany(entries.slice(0, 10));
  await hold.reached;
  const commit = assert.rejects(freezer.commit(), { code: 'disk-full' });
  hold.release();
  await commit;
  assert.notEqual(freezer.poisoned, undefined);
  await freezer.release();
});

test('puts that are refused while values are written ahead take back no more than their own', async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, { ...settings, tableChangesMax: 20 }, { kind: 'create' });
  const first = entries.slice(0, 10);
  await freezer.putMany(first);
  const hold = disk.hold(isValueWrite);
  await freezer.putMany(entries.slice(0, 10));
  await hold.reached;
  const { end } = freezer;
  await assert.rejects(freezer.putMany(entries.slice(10, 100)), { code: 'sync-required' });
  assert.deepEqual(freezer.end, end);
  hold.release();
  await freezer.sync();
  const next = await freezer.put(key('next'), Buffer.from('next'));
  assert.equal(next.offset, end.valueBytes);
  await freezer.close();
});
