import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';

const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
const iscsiRead = Buffer.from(
  '01c00000000000000000000000000000140000000000040000000014000000182800000000000000' + '0200000000000000',
  'hex',
);

const vectors: readonly (readonly [name: string, bytes: Buffer, checksum: string])[] = [
  ['no bytes', Buffer.alloc(0), '00000000'],
  ['32 zeros', Buffer.alloc(32), '8a9136aa'],
  ['25 zeros', Buffer.alloc(25), '1db1bf80'],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), '62a8ab43'],
  ['32 ascending bytes', ascending, '46dd794e'],
  ['32 descending bytes', Buffer.from(ascending).reverse(), '113fdb5c'],
  ["iSCSI's read command", iscsiRead, 'd9963a56'],
  ['nine digits', Buffer.from('123456789'), 'e3069283'],
  ['eight digits', Buffer.from('23456789'), 'bfe92a83'],
  ['a sentence', Buffer.from('The quick brown fox jumps over the lazy dog'), '22620404'],
  ['bytes 1 to 240', Buffer.from(Array.from({ length: 240 }, (_, index) => index + 1)), '24c5d375'],
];

for (const [name, bytes, checksum] of vectors) {
  test(`the checksum of ${name} is the published one`, () => {
    assert.equal(crc32c(bytes).toString(16).padStart(8, '0'), checksum);
  });
}

function counting(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, index) => index % 256));
}

test('long runs of bytes have the published checksums', () => {
  const found = [1, 64, 256, 1024, 4096].map((size) => crc32c(counting(size)).toString(16));
  assert.deepEqual(found, ['527d5351', 'fb6d36eb', '9c44184b', '2cdf6e8f', '9c71fe32']);
});

test('a checksum goes on from the bytes before, wherever they are cut', () => {
  const bytes = counting(300);
  for (const cut of [0, 1, 7, 8, 63, 64, 150, 299, 300]) {
    assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), crc32c(bytes));
  }
});

test('the place of the bytes in memory does not matter', () => {
  const memory = Buffer.alloc(400);
  for (let offset = 0; offset < 16; offset++) {
    counting(300).copy(memory, offset);
    assert.equal(crc32c(memory.subarray(offset, offset + 300)), crc32c(counting(300)));
  }
});
