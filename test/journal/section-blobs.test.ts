import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SectionBlobs, sectionName } from '../../src/journal/section-blobs.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const header = Buffer.from('4357494300000000', 'hex');

function diskWith(...names: readonly string[]): SimulatedDisk {
  return SimulatedDisk.of(new Map(names.map((name) => [`key/${name}`, header])));
}

test('a section file is named by its number in sixteen hex digits', () => {
  assert.equal(sectionName(0), '0000000000000000');
  assert.equal(sectionName(0xabc), '0000000000000abc');
  assert.equal(sectionName(Number.MAX_SAFE_INTEGER), '001fffffffffffff');
});

test('a partition that is missing has no sections', async () => {
  assert.deepEqual(await new SectionBlobs(new SimulatedDisk(), 'key').list(), []);
});

test('sections are listed by number, gaps or not', async () => {
  const disk = diskWith(sectionName(10), sectionName(0), sectionName(255), sectionName(2));
  assert.deepEqual(await new SectionBlobs(disk, 'key').list(), [0, 2, 10, 255]);
});

for (const name of [
  'lock',
  '0000000000000000.tmp',
  '000000000000000',
  '00000000000000000',
  '000000000000000A',
  'ffffffffffffffff',
]) {
  test(`a file named ${name} makes the partition refuse`, async () => {
    const blobs = new SectionBlobs(diskWith(sectionName(0), name), 'key');
    await assert.rejects(blobs.list(), { code: 'corruption', message: new RegExp(`key/${name}`) });
  });
}

test('a directory in the place of a section is refused', async () => {
  const disk = SimulatedDisk.of(new Map([[`key/${sectionName(0)}/inner`, header]]));
  await assert.rejects(new SectionBlobs(disk, 'key').fileSize(0), { code: 'corruption', message: /directory/ });
});

test('a new section is durable and empty', async () => {
  const disk = new SimulatedDisk();
  const blobs = new SectionBlobs(disk, 'key');
  const blob = await blobs.create(3);
  assert.equal(blob.size, 0);
  assert.deepEqual(disk.crash('synced').files(), [`key/${sectionName(3)}`]);
  assert.equal(await blobs.fileSize(3), header.length);
  await blobs.close();
});

test('a section that is missing is an error, and can be made afterwards', async () => {
  const disk = new SimulatedDisk();
  const blobs = new SectionBlobs(disk, 'key');
  await assert.rejects(blobs.acquire(1), { code: 'not-found' });
  assert.equal(await blobs.fileSize(1), undefined);
  await blobs.create(1);
  assert.equal((await blobs.acquire(1)).size, 0);
  await blobs.close();
  assert.deepEqual(disk.openHandles, []);
});

test('removing a section is durable', async () => {
  const disk = diskWith(sectionName(0), sectionName(1));
  const blobs = new SectionBlobs(disk, 'key');
  await blobs.acquire(1);
  await blobs.release(1);
  await blobs.remove(1);
  assert.deepEqual(disk.crash('synced').files(), [`key/${sectionName(0)}`]);
  assert.deepEqual(disk.openHandles, []);
  assert.equal(blobs.pruned.value, 1);
});

test('few files stay open, and one that is in use is never closed', async () => {
  const sections = Array.from({ length: 200 }, (_, section) => section);
  const disk = diskWith(...sections.map(sectionName));
  const blobs = new SectionBlobs(disk, 'key');
  const held = await blobs.acquire(0);
  for (const section of sections.slice(1)) {
    await blobs.acquire(section);
    await blobs.release(section);
    assert.ok(disk.openHandles.length <= 65, `${disk.openHandles.length} open files`);
  }
  await assert.doesNotReject(held.read(0, Buffer.alloc(0)));
  assert.ok(disk.openHandles.includes(`key/${sectionName(0)}`));
  assert.equal(blobs.tracked.value, sections.length);
  await blobs.close();
  assert.deepEqual(disk.openHandles, []);
});

test('many readers of one section share one file', async () => {
  const disk = diskWith(sectionName(0));
  const blobs = new SectionBlobs(disk, 'key');
  const [first, second] = await Promise.all([blobs.acquire(0), blobs.acquire(0)]);
  assert.equal(first, second);
  assert.equal(disk.openHandles.length, 1);
  await blobs.release(0);
  await blobs.release(0);
  await blobs.close();
});
