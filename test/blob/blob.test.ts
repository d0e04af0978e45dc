import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Blob, createBlob, openBlob } from '../../src/blob/blob.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const path = 'partition/name';

async function withContent(disk: SimulatedDisk, content: string): Promise<Blob> {
  const blob = await createBlob(disk, 'partition', 'name');
  await blob.writeMany([{ offset: 0, bytes: Buffer.from(content) }]);
  return blob;
}

async function contentOf(blob: Blob): Promise<string> {
  const bytes = Buffer.alloc(blob.size);
  await blob.read(0, bytes);
  return bytes.toString();
}

test('a new file has a header and no content, and both are durable with its entries', async () => {
  const disk = new SimulatedDisk();
  const blob = await createBlob(disk, 'partition', 'name');
  assert.equal(blob.size, 0);
  await blob.close();
  assert.equal(disk.crash('synced').bytesOf(path).toString('hex'), '4357494300000000');
});

test('content begins behind the header', async () => {
  const disk = new SimulatedDisk();
  const blob = await withContent(disk, 'hello world');
  assert.equal(blob.size, 11);
  assert.equal(disk.bytesOf(path).toString('latin1', 8), 'hello world');
  await blob.truncate(5);
  assert.equal(disk.bytesOf(path).length, 13);
  assert.equal(await contentOf(blob), 'hello');
  await blob.truncate(0);
  assert.equal(disk.bytesOf(path).length, 8);
  await blob.close();
});

test('a file that is opened again has its content', async () => {
  const disk = new SimulatedDisk();
  await (await withContent(disk, 'hello')).close();
  const blob = await openBlob(disk, path);
  assert.equal(await contentOf(blob), 'hello');
  await blob.close();
});

test('writes of one list and reads of one list go to their places', async () => {
  const disk = new SimulatedDisk();
  const blob = await withContent(disk, '..........');
  await blob.writeMany([
    { offset: 8, bytes: Buffer.from('xyz') },
    { offset: 1, bytes: Buffer.from('ab') },
  ]);
  const [first, second] = [Buffer.alloc(2), Buffer.alloc(3)];
  await blob.readMany([
    { offset: 8, into: second },
    { offset: 1, into: first },
  ]);
  assert.deepEqual([first.toString(), second.toString()], ['ab', 'xyz']);
  assert.equal(blob.size, 11);
  await blob.close();
});

test('a read behind the end is corruption that names file and place', async () => {
  const disk = new SimulatedDisk();
  const blob = await withContent(disk, 'hello');
  const expected = {
    code: 'corruption',
    details: { file: path, offset: 11, expected: '4 bytes', found: '2 bytes' },
  };
  await assert.rejects(blob.read(3, Buffer.alloc(4)), expected);
  await assert.rejects(blob.readMany([{ offset: 3, into: Buffer.alloc(4) }]), expected);
  await blob.close();
});

test('a file that is missing is an error of the disk', async () => {
  await assert.rejects(openBlob(new SimulatedDisk(), path), { code: 'not-found' });
});

for (const [name, bytes] of [
  ['is shorter than a header', Buffer.from('4357', 'hex')],
  ['is empty', Buffer.alloc(0)],
  ['is zeros', Buffer.alloc(8)],
  ['belongs to somebody else', Buffer.from('#!/bin/sh and more')],
] as const) {
  test(`a file that ${name} is not opened, and not changed or left open`, async () => {
    const disk = SimulatedDisk.of(new Map([[path, bytes]]));
    await assert.rejects(openBlob(disk, path), { code: 'corruption' });
    assert.deepEqual(disk.bytesOf(path), bytes);
    assert.equal(disk.steps, 0);
    assert.deepEqual(disk.openHandles, []);
  });
}

test('a file that is made anew has nothing of what was there', async () => {
  const disk = SimulatedDisk.of(new Map([[path, Buffer.alloc(50, 7)]]));
  const blob = await createBlob(disk, 'partition', 'name');
  assert.equal(blob.size, 0);
  await blob.close();
  assert.equal(disk.bytesOf(path).toString('hex'), '4357494300000000');
});

test('whatever a crash leaves of a creation, the file is made anew', async () => {
  const whole = new SimulatedDisk();
  await (await createBlob(whole, 'partition', 'name')).close();
  for (let step = 1; step <= whole.steps; step++) {
    for (const survival of ['synced', 'all', 'allDurable', { seed: step, sectorSizes: [1] }] as const) {
      const disk = new SimulatedDisk();
      disk.failAt(step, 'crash');
      await assert.rejects(createBlob(disk, 'partition', 'name'));
      const found = disk.crash(survival);
      const blob = await createBlob(found, 'partition', 'name');
      await blob.close();
      assert.equal(found.crash('synced').bytesOf(path).toString('hex'), '4357494300000000');
    }
  }
});
