import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/freezer/checkpoint.ts';
import { decodeCursor, encodeCursor } from '../../src/freezer/cursor.ts';
import { isBefore, readRecord, recordSize, writeRecord } from '../../src/freezer/key-record.ts';
import {
  addedAfterPut,
  bucketDamage,
  bucketSize,
  newestSlot,
  readSlot,
  slotForEpoch,
  slotOffset,
  slotSize,
  slotState,
  writeSlot,
} from '../../src/freezer/table-entry.ts';
import { bytesCodec, fixedBytesCodec, int32Codec, type ValueCodec } from '../../src/freezer/value-codec.ts';

test('cursors have the published bytes, both ways', () => {
  for (const [cursor, hex] of [
    [{ section: 3, offset: 0x1234, size: 0x55 }, '0000000000000003000000000000123400000055'],
    [{ section: 0, offset: 0, size: 10 }, '000000000000000000000000000000000000000a'],
  ] as const) {
    assert.equal(encodeCursor(cursor).toString('hex'), hex);
    assert.deepEqual(decodeCursor(Buffer.from(hex, 'hex')), cursor);
  }
  assert.throws(() => decodeCursor(Buffer.alloc(19)), { code: 'malformed' });
  assert.throws(() => decodeCursor(Buffer.alloc(20, 0xff)), { code: 'out-of-range' });
});

test('checkpoints have the published bytes, both ways', () => {
  for (const [checkpoint, hex] of [
    [
      { epoch: 7, section: 3, keyBytes: 2520, tableSize: 65536 },
      '0000000000000007000000000000000300000000000009d800010000',
    ],
    [{ epoch: 1, section: 0, keyBytes: 36, tableSize: 4 }, '00000000000000010000000000000000000000000000002400000004'],
  ] as const) {
    assert.equal(encodeCheckpoint(checkpoint).toString('hex'), hex);
    assert.deepEqual(decodeCheckpoint(Buffer.from(hex, 'hex')), checkpoint);
  }
  assert.throws(() => decodeCheckpoint(Buffer.alloc(29)), { code: 'malformed' });
  assert.throws(() => decodeCheckpoint(Buffer.alloc(28, 0xff)), { code: 'out-of-range' });
});

test('slots have the published bytes, both ways', () => {
  for (const [slot, hex] of [
    [{ epoch: 1, section: 0, position: 0, added: 1 }, '00000000000000010000000000000000000000000000000001e0b33ea8'],
    [{ epoch: 7, section: 3, position: 41, added: 4 }, '000000000000000700000000000000030000000000000029045f1f649d'],
  ] as const) {
    const bytes = Buffer.alloc(slotSize);
    writeSlot(bytes, 0, slot);
    assert.equal(bytes.toString('hex'), hex);
    assert.deepEqual(readSlot(bytes, 0), slot);
    assert.equal(slotState(bytes, 0), 'valid');
  }
});

test('a slot of zeros is empty, one with a matching checksum valid, any other damaged', () => {
  const bytes = Buffer.alloc(slotSize);
  assert.equal(slotState(bytes, 0), 'empty');
  writeSlot(bytes, 0, { epoch: 1, section: 0, position: 0, added: 1 });
  for (let offset = 0; offset < slotSize; offset++) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8((bytes[offset] ?? 0) ^ 1, offset);
    assert.equal(slotState(changed, 0), 'damaged', `byte ${offset}`);
  }
  const foreign = Buffer.alloc(slotSize, 0xff);
  foreign.writeUInt32BE(crc32c(foreign.subarray(0, 25)), 25);
  assert.equal(slotState(foreign, 0), 'damaged');
});

function bucket(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(bucketSize);
  for (const [slot, epoch] of [
    [0, first],
    [1, second],
  ] as const) {
    if (epoch > 0) writeSlot(bytes, slotOffset(0, slot), { epoch, section: 0, position: epoch, added: 1 });
  }
  return bytes;
}

test('the head of a bucket is its slot of the higher epoch', () => {
  for (const [first, second, head] of [
    [0, 0, undefined],
    [3, 0, 3],
    [0, 4, 4],
    [3, 4, 4],
    [5, 4, 5],
  ] as const) {
    assert.equal(newestSlot(bucket(first, second), 0)?.epoch, head);
  }
});

test("a write goes to its epoch's slot, else to an empty one, else to the older one", () => {
  for (const [first, second, epoch, slot] of [
    [0, 0, 1, 0],
    [1, 0, 1, 0],
    [1, 0, 2, 1],
    [0, 1, 2, 0],
    [1, 2, 2, 1],
    [1, 2, 3, 0],
    [3, 2, 4, 1],
    [3, 2, 3, 0],
  ] as const) {
    assert.equal(slotForEpoch(bucket(first, second), 0, epoch), slot, `${first} ${second} in ${epoch}`);
  }
});

test('a bucket says what is wrong with it', () => {
  const good = bucket(3, 4);
  assert.equal(bucketDamage(good, 0), undefined);
  for (const slot of [0, 1] as const) {
    const damaged = Buffer.from(good);
    damaged.writeUInt8(0xee, slotOffset(0, slot) + 20);
    assert.deepEqual(bucketDamage(damaged, 0), { kind: 'checksum', slot });
  }
  assert.deepEqual(bucketDamage(bucket(3, 3), 0), { kind: 'equal-epochs' });
});

test('puts of a bucket are counted up to 255', () => {
  assert.deepEqual([addedAfterPut(0), addedAfterPut(254), addedAfterPut(255)], [1, 255, 255]);
});

test('a record has the published bytes, both ways', () => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
  const bytes = Buffer.alloc(recordSize(32));
  writeRecord(bytes, 0, key, { section: 5, position: 7 }, { offset: 0x1234, size: 0x55 });
  assert.equal(bytes.toString('hex', 32), '00000000000000050000000000000007000000000000123400000055');
  assert.deepEqual(readRecord(bytes, 0, 32), {
    key,
    next: { section: 5, position: 7 },
    valueOffset: 0x1234,
    valueSize: 0x55,
  });
});

test('only both next fields together say that a chain ends', () => {
  const bytes = Buffer.alloc(recordSize(1));
  writeRecord(bytes, 0, Buffer.from('k'), undefined, { offset: 0, size: 5 });
  assert.equal(bytes.toString('hex', 1, 17), 'ff'.repeat(16));
  assert.equal(readRecord(bytes, 0, 1).next, undefined);
  bytes.writeUInt8(0, 16);
  assert.throws(() => readRecord(bytes, 0, 1), { code: 'out-of-range' });
});

test('records are ordered by section, then by position', () => {
  assert.equal(isBefore({ section: 1, position: 9 }, { section: 2, position: 0 }), true);
  assert.equal(isBefore({ section: 2, position: 0 }, { section: 2, position: 1 }), true);
  assert.equal(isBefore({ section: 2, position: 1 }, { section: 2, position: 1 }), false);
  assert.equal(isBefore({ section: 2, position: 1 }, { section: 1, position: 9 }), false);
});

function encoded<V>(codec: ValueCodec<V>, value: V): string {
  const bytes = Buffer.alloc(codec.encodedSize(value) + 1);
  const end = codec.encode(value, bytes, 1);
  assert.equal(end, bytes.length);
  return bytes.toString('hex', 1);
}

test('values have the published bytes, both ways', () => {
  assert.equal(encoded(bytesCodec, Buffer.from('hello')), '0568656c6c6f');
  assert.equal(encoded(bytesCodec, Buffer.alloc(0)), '00');
  assert.equal(encoded(bytesCodec, Buffer.alloc(128, 0xaa)), `8001${'aa'.repeat(128)}`);
  assert.equal(encoded(int32Codec, 42), '0000002a');
  assert.equal(encoded(int32Codec, -2), 'fffffffe');
  assert.equal(encoded(fixedBytesCodec(3), Buffer.from('abc')), '616263');
  assert.deepEqual(bytesCodec.decode(Buffer.from('0568656c6c6f', 'hex')), Buffer.from('hello'));
  assert.equal(int32Codec.decode(Buffer.from('fffffffe', 'hex')), -2);
  assert.deepEqual(fixedBytesCodec(3).decode(Buffer.from('abc')), Buffer.from('abc'));
});

for (const [name, codec, hex] of [
  ['a byte vector with a byte left over', bytesCodec, '010203'],
  ['a byte vector that is cut off', bytesCodec, '0501'],
  ['a byte vector whose length is not minimal', bytesCodec, '8000'],
  ['a byte vector that claims four gigabytes', bytesCodec, 'ffffffff0f'],
  ['no byte vector at all', bytesCodec, ''],
  ['an i32 of five bytes', int32Codec, '0000000000'],
  ['fixed bytes of another size', fixedBytesCodec(3), '6162'],
] as const) {
  test(`${name} is malformed`, () => {
    assert.throws(() => codec.decode(Buffer.from(hex, 'hex')), { code: 'malformed' });
  });
}
