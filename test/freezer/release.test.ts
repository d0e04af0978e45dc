import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf } from '../../src/base/errors.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { Keeper, smallSettings } from './keeper.ts';

const keyOf = (number: number): Buffer => {
  const key = Buffer.alloc(smallSettings.keySize);
  key.writeUInt32BE(number);
  return key;
};

test('gives its handles back only when the reads under way have ended', async () => {
  const disk = new SimulatedDisk();
  const { keeper, freezer } = await Keeper.open(disk);
  await freezer.putMany(
    Array.from({ length: 20 }, (_, number) => ({ key: keyOf(number), value: Buffer.alloc(20, number) })),
  );
  await freezer.sync(keeper.saveCheckpoint);
  const hold = disk.hold(({ kind, path }) => kind === 'read' && path.startsWith('value/'));
  const got = freezer.get({ key: keyOf(3) });
  await hold.reached;
  const released = freezer.release();
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  hold.release();
  assert.deepEqual(Buffer.from((await got) ?? []), Buffer.alloc(20, 3));
  await released;
  const read = disk.log.findLast(({ kind, path }) => kind === 'read' && path.startsWith('value/'));
  const close = disk.log.findLast(({ kind, path }) => kind === 'close' && path === read?.path);
  assert.ok(read?.ended !== undefined && close !== undefined && close.issued > read.ended, 'closed behind the read');
  assert.deepEqual(disk.openHandles, []);
});

test('fails reads that go on after it was closed, and leaves nothing open', async () => {
  const disk = new SimulatedDisk();
  const { keeper, freezer } = await Keeper.open(disk);
  await freezer.putMany(
    Array.from({ length: 20 }, (_, number) => ({ key: keyOf(number), value: Buffer.alloc(20, number) })),
  );
  await freezer.sync(keeper.saveCheckpoint);
  const hold = disk.hold(({ kind, path }) => kind === 'read' && path.startsWith('key/'));
  const got = freezer.get({ key: keyOf(3) });
  await hold.reached;
  const released = freezer.release();
  hold.release();
  await assert.rejects(got, (error) => codeOf(error) === 'closed');
  await released;
  assert.deepEqual(disk.openHandles, []);
  await assert.rejects(freezer.get({ key: keyOf(3) }), (error) => codeOf(error) === 'closed');
});
