import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checksumOffset,
  encodeChecksum,
  matchingChecksum,
  otherSlot,
  pageRecordSize,
  physicalPageSize,
  validatePage,
} from '../../src/blob/page.ts';
import { crc32c } from '../../src/codec/crc32c.ts';

const pageSize = 64;
const data = Buffer.from('hello world');

interface Claim {
  readonly size: number;
  readonly crc: number;
}

const unused: Claim = { size: 0, crc: 0 };

function good(size: number): Claim {
  return { size, crc: crc32c(data.subarray(0, size)) };
}

function bad(size: number): Claim {
  return { size, crc: (good(size).crc ^ 1) >>> 0 };
}

function page(first: Claim, second: Claim): Buffer {
  const bytes = Buffer.alloc(physicalPageSize(pageSize));
  data.copy(bytes);
  encodeChecksum(first.size, first.crc).copy(bytes, checksumOffset(pageSize, 0));
  encodeChecksum(second.size, second.crc).copy(bytes, checksumOffset(pageSize, 1));
  return bytes;
}

test('a page record is size and checksum, twice, behind the data', () => {
  const bytes = page({ size: 0x0102, crc: 0x03040506 }, { size: 0x0708, crc: 0x090a0b0c });
  assert.equal(bytes.toString('hex', pageSize), '0102030405060708090a0b0c');
  assert.equal(bytes.length, pageSize + pageRecordSize);
});

const cases: readonly (readonly [
  name: string,
  first: Claim,
  second: Claim,
  expected: { readonly slot: number; readonly size: number } | undefined,
])[] = [
  ['one checksum that matches vouches for its bytes', good(11), unused, { slot: 0, size: 11 }],
  ['the larger size governs when it is first', good(11), good(5), { slot: 0, size: 11 }],
  ['the larger size governs when it is second', good(5), good(11), { slot: 1, size: 11 }],
  ['the first governs when both are equal', good(11), good(11), { slot: 0, size: 11 }],
  ['a bad smaller checksum does not matter', bad(5), good(11), { slot: 1, size: 11 }],
  ['when the governing one is bad the other decides', bad(11), good(5), { slot: 1, size: 5 }],
  ['when the second governs and is bad the first decides', good(5), bad(11), { slot: 0, size: 5 }],
  ['of two equal sizes the good one is taken', bad(11), good(11), { slot: 1, size: 11 }],
  ['a page without any checksum is invalid', unused, unused, undefined],
  ['a page with one bad checksum is invalid', bad(11), unused, undefined],
  ['a page with two bad checksums is invalid', bad(11), bad(5), undefined],
  ['a size above the page is bad', { size: 0xffff, crc: 0 }, good(5), { slot: 1, size: 5 }],
  ['two sizes above the page are invalid', { size: 0xffff, crc: 0 }, { size: 65, crc: 1 }, undefined],
];

for (const [name, first, second, expected] of cases) {
  test(name, () => {
    const found = validatePage(page(first, second), pageSize);
    assert.deepEqual(found && { slot: found.slot, size: found.size }, expected);
    if (found !== undefined) assert.equal(found.crc, crc32c(data.subarray(0, found.size)));
  });
}

test('changed data makes a page invalid', () => {
  const bytes = page(good(11), unused);
  bytes.writeUInt8(bytes.readUInt8(4) ^ 0x80, 4);
  assert.equal(validatePage(bytes, pageSize), undefined);
});

test('bytes behind the covered ones do not matter', () => {
  const bytes = page(good(11), unused);
  bytes.fill(0xaa, 11, pageSize);
  assert.equal(validatePage(bytes, pageSize)?.size, 11);
});

test('one place can be asked by itself', () => {
  const bytes = page(good(5), bad(11));
  assert.equal(matchingChecksum(bytes, pageSize, 0)?.size, 5);
  assert.equal(matchingChecksum(bytes, pageSize, 1), undefined);
  assert.deepEqual([otherSlot(0), otherSlot(1)], [1, 0]);
});

test('a size above the page is not believed even when a checksum over so many bytes matches', () => {
  const bytes = page(good(11), unused);
  const size = pageSize + 6;
  encodeChecksum(size, crc32c(bytes.subarray(0, size))).copy(bytes, checksumOffset(pageSize, 1));
  assert.equal(matchingChecksum(bytes, pageSize, 1), undefined);
  assert.equal(validatePage(bytes, pageSize)?.size, 11);
});
