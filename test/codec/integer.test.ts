import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAllOnes64, readU64, u64Size, writeAllOnes64, writeU64 } from '../../src/codec/integer.ts';

for (const [number, hex] of [
  [0, '0000000000000000'],
  [1, '0000000000000001'],
  [0x1234_5678, '0000000012345678'],
  [2 ** 32, '0000000100000000'],
  [Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
] as const) {
  test(`${number} is ${hex}, both ways`, () => {
    const bytes = Buffer.alloc(u64Size + 1);
    assert.equal(writeU64(bytes, number, 1), u64Size + 1);
    assert.equal(bytes.toString('hex', 1), hex);
    assert.equal(readU64(bytes, 1), number);
  });
}

test('a field above 2^53 is an error and not another number', () => {
  assert.throws(() => readU64(Buffer.from('0020000000000000', 'hex'), 0), { code: 'out-of-range' });
  assert.throws(() => readU64(Buffer.alloc(u64Size, 0xff), 0), { code: 'out-of-range' });
});

for (const number of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`${number} cannot be written`, () => {
    assert.throws(() => writeU64(Buffer.alloc(u64Size), number, 0), { code: 'out-of-range' });
  });
}

test('all ones can be written and asked for without being read as a number', () => {
  const bytes = Buffer.alloc(u64Size);
  assert.equal(isAllOnes64(bytes, 0), false);
  assert.equal(writeAllOnes64(bytes, 0), u64Size);
  assert.equal(isAllOnes64(bytes, 0), true);
  bytes.writeUInt8(0xfe, u64Size - 1);
  assert.equal(isAllOnes64(bytes, 0), false);
});
