import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readVarint, varintSize, varintSizeMax, writeVarint } from '../../src/codec/varint.ts';

const vectors: readonly (readonly [number, string])[] = [
  [0, '00'],
  [1, '01'],
  [127, '7f'],
  [128, '8001'],
  [150, '9601'],
  [300, 'ac02'],
  [16383, 'ff7f'],
  [16384, '808001'],
  [2097151, 'ffff7f'],
  [2097152, '80808001'],
  [268435455, 'ffffff7f'],
  [268435456, '8080808001'],
  [4294967295, 'ffffffff0f'],
];

for (const [number, hex] of vectors) {
  test(`${number} is ${hex}, both ways`, () => {
    const bytes = Buffer.alloc(varintSizeMax + 2);
    const end = writeVarint(bytes, number, 2);
    assert.equal(bytes.toString('hex', 2, end), hex);
    assert.equal(varintSize(number), end - 2);
    assert.deepEqual(readVarint(bytes, 2), { value: number, end });
  });
}

for (const [hex, why] of [
  ['8000', /not minimal/],
  ['80808000', /not minimal/],
  ['ffffffff10', /above 2\^32 - 1/],
  ['ffffffffff01', /above 2\^32 - 1/],
  ['80', /cut off/],
  ['', /cut off/],
] as const) {
  test(`${hex === '' ? 'nothing' : hex} is no varint`, () => {
    assert.throws(() => readVarint(Buffer.from(hex, 'hex'), 0), { code: 'malformed', message: why });
  });
}

for (const number of [-1, 0.5, 2 ** 32, Number.NaN]) {
  test(`${number} cannot be written`, () => {
    assert.throws(() => writeVarint(Buffer.alloc(varintSizeMax), number, 0), { code: 'out-of-range' });
  });
}
