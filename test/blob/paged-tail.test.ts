import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import { validatePage } from '../../src/blob/page.ts';
import { PagedTail } from '../../src/blob/paged-tail.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { DiskWrite } from '../../src/disk/disk.ts';
import { Random } from '../simulation/random.ts';
import { PagedFile } from './paged-file.ts';

const pageSize = 103;

function run(first: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, index) => first + index));
}

function shown(writes: readonly DiskWrite[]): string[] {
  return writes.map(({ offset, bytes }) => `@${offset} ${Buffer.from(bytes).toString('hex')}`);
}

/** A file to which runs of bytes are appended, each with a sync. */
function synced(...sizes: readonly number[]): PagedFile {
  const file = new PagedFile(pageSize);
  for (const [index, size] of sizes.entries()) {
    file.append(Buffer.alloc(size, index + 1));
    file.sync();
  }
  return file;
}

test('the writes and bytes of the published example come about', () => {
  const file = new PagedFile(16);
  file.append(run(0x10, 5));
  assert.deepEqual(shown(file.sync()), [`@0 1011121314${'00'.repeat(11)}00051d5a2a8c000000000000`]);
  file.append(run(0x20, 4));
  assert.deepEqual(shown(file.sync()), [`@5 20212223${'00'.repeat(7)}`, '@22 00092c2ddb79']);
  file.append(run(0x30, 3));
  assert.deepEqual(shown(file.sync()), [`@9 303132${'00'.repeat(4)}000cb55258d6`]);
  assert.deepEqual(shown(file.sync()), []);
  file.append(run(0x50, 10));
  assert.deepEqual(shown(file.sync()), [
    '@12 50515253',
    `@22 0010860373c3545556575859${'00'.repeat(10)}00067a116af9000000000000`,
  ]);
  file.append(run(0x60, 16));
  file.append(run(0x60, 16));
  file.append(run(0x60, 8));
  file.overflow();
  file.sync();
  assert.equal(
    file.bytes.toString('hex', 56),
    '6a6b6c6d6e6f606162636465666768690010b3d4fa29000000000000' +
      '6a6b6c6d6e6f60616263646566670000000e27ce65bb000000000000',
  );
});

test('a sync without new bytes writes nothing, also on an empty file', () => {
  const file = new PagedFile(pageSize);
  assert.deepEqual(file.sync(), []);
  assert.equal(file.reopen(), 0);
  file.append(Buffer.from('x'));
  file.sync();
  assert.deepEqual(file.sync(), []);
});

test('the file always ends on a whole physical page, and reopens with its payload size', () => {
  const file = synced(10);
  assert.equal(file.bytes.length, 115);
  assert.equal(file.reopen(), 10);
  file.append(Buffer.alloc(100, 7));
  file.sync();
  assert.equal(file.bytes.length, 230);
  assert.equal(file.reopen(), 110);
  file.append(Buffer.alloc(96, 8));
  file.sync();
  assert.equal(file.bytes.length, 230);
  assert.equal(file.reopen(), 206);
});

test('a new checksum goes to the place that does not govern, and the governing one keeps its bytes', () => {
  const file = synced(10, 20);
  assert.equal(file.record(0).slice(0, 4), '000a');
  assert.equal(file.record(0).slice(12, 16), '001e');
  const governing = file.record(0).slice(12);
  file.append(Buffer.alloc(20, 3));
  file.sync();
  assert.equal(file.record(0).slice(12), governing);
  assert.equal(file.record(0).slice(0, 4), '0032');
});

test('when the first checksum governs, growing leaves it alone', () => {
  const file = synced(10, 20, 20);
  const governing = file.record(0).slice(0, 12);
  file.append(Buffer.alloc(20, 4));
  file.sync();
  assert.equal(file.record(0).slice(0, 12), governing);
  assert.equal(file.record(0).slice(12, 16), '0046');
});

test('bytes under a checksum are in no later write, whatever is behind them on disk', () => {
  const file = synced(20);
  file.bytes.fill(0xee, 20, pageSize);
  file.reopen();
  file.append(Buffer.alloc(10, 9));
  for (const { offset } of file.sync()) assert.ok(offset >= 20);
  assert.deepEqual(file.page(0).subarray(0, 20), Buffer.alloc(20, 1));
  assert.deepEqual(file.page(0).subarray(20, pageSize), Buffer.concat([Buffer.alloc(10, 9), Buffer.alloc(73)]));
});

test('growing over the end of a page fills it up and keeps its older checksum', () => {
  const file = synced(20, 30);
  const governing = file.record(0).slice(12);
  file.append(Buffer.alloc(70, 3));
  file.sync();
  assert.equal(file.record(0).slice(12), governing);
  assert.equal(file.record(0).slice(0, 4), '0067');
  assert.equal(file.bytes.length, 230);
  assert.equal(file.reopen(), 120);
});

test('when the governing checksum is damaged the file goes on from the older one', () => {
  const file = synced(10, 20);
  file.bytes.writeUInt8(0xff, pageSize + 8);
  assert.equal(file.reopen(), 10);
  file.append(Buffer.from('again'));
  file.sync();
  assert.deepEqual(file.payload(), Buffer.concat([Buffer.alloc(10, 1), Buffer.from('again')]));
});

test('a checksum that claims more than a page is not believed', () => {
  const file = synced(10);
  file.bytes.writeUInt16BE(0xffff, pageSize);
  assert.equal(file.reopen(), 0);
  const both = synced(10, 20);
  both.bytes.writeUInt16BE(0xffff, pageSize);
  both.bytes.writeUInt16BE(0xffff, pageSize + 6);
  assert.equal(both.reopen(), 0);
});

test('whole pages are written without a sync, and the rest with the next one', () => {
  const file = new PagedFile(pageSize);
  file.append(Buffer.alloc(250, 5));
  file.overflow();
  assert.equal(file.bytes.length, 230);
  assert.equal(file.size, 250);
  file.sync();
  assert.deepEqual(file.payload(), Buffer.alloc(250, 5));
});

test('a second partial checksum before an fsync is refused', () => {
  const tail = new PagedTail(pageSize, 0);
  tail.reserve(1).into.fill(1);
  const staged = tail.stage({ partial: true });
  assert.ok(staged !== undefined);
  tail.settled(staged);
  tail.reserve(1).into.fill(1);
  assert.throws(() => tail.stage({ partial: true }), AssertionFailure);
  tail.synced();
  assert.notEqual(tail.stage({ partial: true }), undefined);
});

test('however appends, overflows, syncs and reopenings are mixed, the payload is what was appended', () => {
  for (const [seed, size] of [16, 20, 33, 64, 103].entries()) {
    const random = new Random(seed);
    const file = new PagedFile(size);
    let model = Buffer.alloc(0);
    for (let step = 0; step < 300; step++) {
      const data = random.bytes(random.below(2 * size));
      file.append(data);
      model = Buffer.concat([model, data]);
      if (random.chance(0.3)) file.overflow();
      if (random.chance(0.6)) file.sync();
      if (!random.chance(0.1)) continue;
      file.sync();
      assert.equal(file.reopen(), model.length);
    }
    file.sync();
    assert.deepEqual(file.payload(), model, `page size ${size}`);
  }
});

test('the bytes depend on the syncs alone, not on what was written between them', () => {
  const files = [false, true].map((overflows) => {
    const random = new Random(5);
    const file = new PagedFile(64);
    for (let step = 0; step < 200; step++) {
      file.append(random.bytes(random.below(100)));
      if (overflows) file.overflow();
      if (step % 3 === 0) file.sync();
    }
    file.sync();
    return file.bytes;
  });
  assert.deepEqual(files[0], files[1]);
});

test('a torn sync leaves the page with its former checksum', () => {
  const file = synced(30);
  const before = Buffer.from(file.bytes);
  file.append(Buffer.alloc(20, 2));
  for (const { offset, bytes } of file.sync()) {
    for (const cut of [0, 1, Math.floor(bytes.length / 2), bytes.length]) {
      const torn = Buffer.from(before);
      torn.set(bytes.subarray(0, cut), offset);
      const checksum = validatePage(torn, pageSize);
      assert.equal(checksum?.size, 30);
      assert.equal(checksum?.crc, crc32c(Buffer.alloc(30, 1)));
    }
  }
});
