import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { physicalPageSize } from '../../src/blob/page.ts';
import { KeyIndex } from '../../src/journal/key-index.ts';
import { asksBeforeRead, type LinkPlace, linkHash, type ReadLink } from '../../src/journal/record-links.ts';
import { SectionBlobs, sectionName } from '../../src/journal/section-blobs.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

/** Four pages of 16 KiB are read together, eight are kept. */
const settings = { pageSize: 16 * 1024 - 12, recordSize: 1024, cachePages: 8 };
const stretchPages = 4;
const headerSize = 8;
const file = `key/${sectionName(0)}`;

function bytesOf(number: number): Buffer {
  const digest = createHash('sha256').update(`record ${number}`).digest();
  return Buffer.alloc(settings.recordSize, digest);
}

function open(disk: SimulatedDisk, changes: Partial<typeof settings> = {}): KeyIndex {
  return new KeyIndex(new SectionBlobs(disk, 'key'), { ...settings, ...changes });
}

async function append(index: KeyIndex, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) {
    const { into, at } = index.reserve();
    bytesOf(number).copy(into, at);
  }
  const staged = index.stage({ partial: true });
  if (staged !== undefined) await index.write(staged);
  await index.sync();
}

/** A disk with one section of so many records. */
async function diskWith(count: number): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const index = open(disk);
  await index.startSection(0);
  await append(index, 0, count);
  await index.close();
  return disk;
}

/** Record whose bytes all lie in the page. */
function recordIn(page: number): number {
  return Math.ceil((page * settings.pageSize) / settings.recordSize);
}

function read(index: KeyIndex, position: number): Promise<Buffer> {
  return index.read({ section: 0, position });
}

/** Offset and size of each read of the section since `from`, in pages. */
function readsSince(disk: SimulatedDisk, from: number): { readonly page: number; readonly count: number }[] {
  const size = physicalPageSize(settings.pageSize);
  return disk.log
    .slice(from)
    .flatMap((operation) =>
      operation.kind === 'read' && operation.path === file && (operation.offset ?? 0) >= headerSize
        ? [{ page: ((operation.offset ?? 0) - headerSize) / size, count: (operation.size ?? 0) / size }]
        : [],
    );
}

function peeked(index: KeyIndex, position: number): Buffer | undefined {
  const image = { bytes: Buffer.alloc(0), at: 0 };
  if (!index.peek({ section: 0, position }, image)) return undefined;
  return Buffer.from(image.bytes.subarray(image.at, image.at + settings.recordSize));
}

/** Where the record's link is, when it was asked for often enough. */
function linkOf(index: KeyIndex, position: number): LinkPlace | undefined {
  const place: LinkPlace = { links: new Uint32Array(0), link: 0 };
  for (let asks = 0; asks < asksBeforeRead; asks++) if (index.findLink({ section: 0, position }, place)) return place;
  return undefined;
}

test('while there is room a page is read with its neighbours, which are found without a read', async () => {
  const disk = await diskWith(170);
  const index = open(disk);
  const before = disk.log.length;
  assert.equal(peeked(index, recordIn(2)), undefined);
  assert.deepEqual(await read(index, recordIn(2)), bytesOf(recordIn(2)));
  assert.deepEqual(readsSince(disk, before), [{ page: 0, count: stretchPages }]);
  for (let position = 0; position < recordIn(4) - 1; position++) {
    assert.deepEqual(peeked(index, position), bytesOf(position), `record ${position}`);
    assert.deepEqual(await read(index, position), bytesOf(position));
  }
  assert.equal(peeked(index, recordIn(4)), undefined);
  assert.equal(readsSince(disk, before).length, 1);
  await index.close();
});

test('links are those of the pages that the cache has now', async () => {
  const disk = await diskWith(170);
  const readLink: ReadLink = (bytes, at, link) => {
    Object.assign(link, { hash: bytes.readUInt32BE(at), section: 1, position: 2 });
    return true;
  };
  const index = new KeyIndex(new SectionBlobs(disk, 'key'), { ...settings, cachePages: 1, readLink });
  const linked = (position: number): number | undefined => {
    const place = linkOf(index, position);
    return place && linkHash(place);
  };
  for (let page = 0; page < 8; page++) {
    const position = recordIn(page) + 1;
    assert.equal(linked(position), undefined, 'of a page that is not there');
    await read(index, position);
    assert.equal(linked(position), bytesOf(position).readUInt32BE(0));
    assert.equal(linked(recordIn(page + 1) - 1), undefined, 'of a record on two pages');
  }
  await index.close();
});

test('no record has a link behind the end of its section, where the page before had one', async () => {
  const disk = await diskWith(recordIn(1) + 3);
  const index = new KeyIndex(new SectionBlobs(disk, 'key'), { ...settings, cachePages: 1, readLink: () => true });
  const isLinked = (position: number): boolean => linkOf(index, position) !== undefined;
  const [within, beyond] = [recordIn(1) + 2, recordIn(1) + 3];
  await read(index, 3);
  assert.ok(isLinked(3));
  await read(index, within);
  assert.deepEqual([isLinked(within), isLinked(beyond)], [true, false]);
  await index.close();
});

test('no record has a link where nobody says how to read one', async () => {
  const index = open(await diskWith(20));
  await read(index, 3);
  assert.equal(linkOf(index, 3), undefined);
  await index.close();
});

test('when the cache has no room for a stretch, a page is read alone', async () => {
  const disk = await diskWith(170);
  const index = open(disk, { cachePages: stretchPages + 1 });
  await read(index, recordIn(0));
  const before = disk.log.length;
  assert.deepEqual(await read(index, recordIn(6)), bytesOf(recordIn(6)));
  assert.deepEqual(readsSince(disk, before), [{ page: 6, count: 1 }]);
  await index.close();
});

test('a damaged neighbour is not kept: only who asks for it hears of it', async () => {
  const disk = await diskWith(170);
  disk.mutate(file, (bytes) => {
    const at = headerSize + physicalPageSize(settings.pageSize) + 5;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    return bytes;
  });
  const index = open(disk);
  assert.deepEqual(await read(index, recordIn(0)), bytesOf(recordIn(0)));
  assert.deepEqual(peeked(index, recordIn(2)), bytesOf(recordIn(2)));
  assert.equal(peeked(index, recordIn(1)), undefined);
  await assert.rejects(read(index, recordIn(1)), { code: 'corruption', message: /page 1 of / });
  await index.close();
});

test('a disk that cannot give the neighbours is asked for the page alone', async () => {
  const disk = await diskWith(170);
  const index = open(disk);
  const size = physicalPageSize(settings.pageSize);
  const armed = disk.failAt((operation) => operation.kind === 'read' && (operation.size ?? 0) > size, 'eio', 2);
  assert.deepEqual(await read(index, recordIn(1)), bytesOf(recordIn(1)));
  assert.equal(armed.hits, 1);
  disk.failAt((operation) => operation.kind === 'read', 'eio', 2);
  await assert.rejects(read(index, recordIn(3)), { code: 'disk-failed' });
  assert.deepEqual(await read(index, recordIn(3)), bytesOf(recordIn(3)));
  await index.close();
});

test('of a growing section only pages that no write touches any more are read as neighbours', async () => {
  const disk = await diskWith(0);
  const index = open(disk);
  await index.openTail(0, 0);
  await append(index, 0, 20);
  const before = disk.log.length;
  assert.deepEqual(await read(index, 0), bytesOf(0));
  assert.deepEqual(readsSince(disk, before), [{ page: 0, count: 1 }]);
  assert.deepEqual(peeked(index, 18), bytesOf(18), 'from the memory of what was appended');
  await append(index, 20, 40);
  for (let position = 0; position < 40; position++) assert.deepEqual(await read(index, position), bytesOf(position));
  assert.equal(peeked(index, 40), undefined);
  await index.close();
});

test('the last page of a section that was left is a neighbour too, as far as it goes', async () => {
  const disk = await diskWith(20);
  const index = open(disk);
  await read(index, 0);
  assert.deepEqual(peeked(index, 19), bytesOf(19));
  assert.equal(peeked(index, 20), undefined);
  await assert.rejects(read(index, 20), { code: 'corruption', message: /the end of the section/ });
  await index.close();
});
