import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { physicalPageSize } from '../../src/blob/page.ts';
import { KeyIndex } from '../../src/journal/key-index.ts';
import { SectionBlobs, sectionName } from '../../src/journal/section-blobs.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const settings = { pageSize: 44, recordSize: 32, cachePages: 3 };
const headerSize = 8;

function digest(number: number): Buffer {
  return createHash('sha256').update(`record ${number}`).digest();
}

function open(disk: SimulatedDisk, changes: Partial<typeof settings> = {}): KeyIndex {
  return new KeyIndex(new SectionBlobs(disk, 'key'), { ...settings, ...changes });
}

function append(index: KeyIndex, ...numbers: readonly number[]): number[] {
  return numbers.map((number) => {
    const { into, at, position } = index.reserve();
    digest(number).copy(into, at);
    return position;
  });
}

async function sync(index: KeyIndex): Promise<void> {
  const staged = index.stage({ partial: true });
  if (staged !== undefined) await index.write(staged);
  await index.sync();
}

/** A disk with sections of these numbers of records, numbered through from 0. */
async function diskWith(...counts: readonly number[]): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const index = open(disk);
  let next = 0;
  for (const [section, count] of counts.entries()) {
    await index.startSection(section);
    append(index, ...Array.from({ length: count }, () => next++));
    await sync(index);
  }
  await index.close();
  return disk;
}

function flip(disk: SimulatedDisk, section: number, offset: number): void {
  disk.mutate(`key/${sectionName(section)}`, (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
    return bytes;
  });
}

test('records are numbered from 0 in each section and read back, written or not', async () => {
  const index = open(new SimulatedDisk());
  await index.startSection(0);
  assert.deepEqual(append(index, 0, 1), [0, 1]);
  assert.deepEqual(await index.read({ section: 0, position: 1 }), digest(1));
  await sync(index);
  assert.deepEqual(append(index, 2), [2]);
  await sync(index);
  await index.startSection(1);
  assert.deepEqual(append(index, 3), [0]);
  for (const [number, at] of [
    [0, { section: 0, position: 0 }],
    [2, { section: 0, position: 2 }],
    [3, { section: 1, position: 0 }],
  ] as const) {
    assert.deepEqual(await index.read(at), digest(number));
  }
  await index.close();
});

test('a record behind the end is corruption, in a growing and in a sealed section', async () => {
  const disk = await diskWith(2, 1);
  const index = open(disk);
  await index.openTail(1, settings.recordSize);
  const atEnd = { code: 'corruption', message: /record 2.*expected a record, found the end of the section/ };
  await assert.rejects(index.read({ section: 0, position: 2 }), atEnd);
  await assert.rejects(index.read({ section: 0, position: 99 }), { code: 'corruption' });
  await assert.rejects(index.read({ section: 1, position: 1 }), { code: 'corruption' });
  await index.close();
});

test('a section without a file is an error of the disk', async () => {
  const index = open(await diskWith(1));
  await assert.rejects(index.read({ section: 3, position: 0 }), { code: 'not-found' });
  await index.close();
});

test('a list of reads has one outcome each, in its order, and a bad one does not touch the others', async () => {
  const disk = await diskWith(10, 10, 10);
  flip(disk, 1, headerSize + 3);
  const index = open(disk);
  const wanted = [
    { section: 2, position: 9 },
    { section: 1, position: 0 },
    { section: 0, position: 0 },
    { section: 7, position: 0 },
    { section: 1, position: 9 },
    { section: 2, position: 9 },
  ];
  const found = await index.readMany(wanted);
  assert.deepEqual(
    found.map((outcome) => (outcome instanceof Error ? 'error' : outcome.toString('hex'))),
    [
      digest(29).toString('hex'),
      'error',
      digest(0).toString('hex'),
      'error',
      digest(19).toString('hex'),
      digest(29).toString('hex'),
    ],
  );
  await index.close();
});

test('a bad page in the middle is told with file, place and what was found, whoever asks', async () => {
  const disk = await diskWith(10);
  flip(disk, 0, headerSize + physicalPageSize(settings.pageSize) + 5);
  const index = open(disk);
  for (const position of [1, 2]) {
    await assert.rejects(index.read({ section: 0, position }), {
      code: 'corruption',
      message: /key\/0{16} at 64: page 1 of 44 bytes: expected a matching checksum, found 002c/,
    });
  }
  assert.deepEqual(await index.read({ section: 0, position: 0 }), digest(0));
  assert.deepEqual(await index.read({ section: 0, position: 3 }), digest(3));
  await index.close();
});

test('a page before the last that is only valid in part is not read beyond that part', async () => {
  const disk = new SimulatedDisk();
  const index = open(disk);
  await index.startSection(0);
  append(index, 0);
  await sync(index);
  append(index, 1, 2, 3);
  await sync(index);
  await index.close();
  flip(disk, 0, headerSize + settings.pageSize + 6 + 2);
  const again = open(disk);
  assert.deepEqual(await again.read({ section: 0, position: 0 }), digest(0));
  await assert.rejects(again.read({ section: 0, position: 1 }), { code: 'corruption' });
  await again.close();
});

test('a section goes on where it ended, in the middle of a page and at its end', async () => {
  for (const count of [1, 3, 11]) {
    const disk = await diskWith(count);
    const index = open(disk);
    await index.openTail(0, count * settings.recordSize);
    assert.deepEqual(append(index, count), [count]);
    await sync(index);
    await index.close();
    const again = open(disk);
    for (let number = 0; number <= count; number++) {
      assert.deepEqual(await again.read({ section: 0, position: number }), digest(number));
    }
    await again.close();
  }
});

test('a section whose last page is of another size is corruption', async () => {
  const index = open(await diskWith(3));
  await assert.rejects(index.openTail(0, 2 * settings.recordSize), {
    code: 'corruption',
    message: /end of the section/,
  });
  await index.close();
});

test('a sealed section knows its payload size', async () => {
  const index = open(await diskWith(5, 11, 0));
  assert.deepEqual(await Promise.all([0, 1, 2].map((section) => index.sealedSize(section))), [160, 352, 0]);
  await index.close();
});

test('records are read while their pages are being written, and afterwards', async () => {
  const disk = new SimulatedDisk();
  const index = open(disk);
  await index.startSection(0);
  append(index, 0, 1, 2, 3);
  const hold = disk.hold((operation) => operation.kind === 'write');
  const staged = index.stage({ partial: true });
  assert.ok(staged !== undefined);
  const writing = index.write(staged);
  await hold.reached;
  append(index, 4);
  for (const number of [0, 3, 4]) {
    assert.deepEqual(await index.read({ section: 0, position: number }), digest(number));
  }
  hold.release();
  await writing;
  await index.sync();
  for (const number of [0, 1, 2, 3, 4]) {
    assert.deepEqual(await index.read({ section: 0, position: number }), digest(number));
  }
  assert.equal(index.pending, settings.recordSize);
  await index.close();
});

test('a page that was read is not read again while it is in the cache', async () => {
  const disk = await diskWith(30);
  const index = open(disk);
  const reads = (): number => disk.log.filter((operation) => operation.kind === 'read').length;
  await index.read({ section: 0, position: 0 });
  const before = reads();
  await index.read({ section: 0, position: 0 });
  assert.equal(reads(), before);
  for (let position = 0; position < 30; position++) await index.read({ section: 0, position });
  const after = reads();
  await index.read({ section: 0, position: 0 });
  assert.ok(reads() > after, 'the cache is bounded');
  await index.close();
});
