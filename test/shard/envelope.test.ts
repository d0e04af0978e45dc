import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bytesCodec } from '../../src/freezer/value-codec.ts';
import {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  envelopeCodec,
  envelopeSize,
  putIdBytesMax,
} from '../../src/shard/envelope.ts';

const envelope: Envelope = {
  putId: 'job-7',
  recordIndex: 2,
  archivedAtMs: 1_767_225_600_000,
  key: 'order/17',
  payload: Buffer.from('paid'),
};

describe('an envelope', () => {
  test('has the documented bytes', () => {
    const hex = '01' + '00' + '0000019b76daa800' + '00000002' + '0005' + '0008';
    const expected = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from('job-7order/17paid')]);
    assert.equal(encodeEnvelope(envelope).toString('hex'), expected.toString('hex'));
  });

  test('is decoded to what was encoded', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 });
    const envelopes = fc.record({
      putId: text.filter((value) => Buffer.byteLength(value) <= putIdBytesMax),
      recordIndex: fc.nat(0xffff_ffff),
      archivedAtMs: fc.nat(Number.MAX_SAFE_INTEGER),
      key: text,
      payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(envelopes, (value) => {
        assert.deepEqual(decodeEnvelope(encodeEnvelope(value)), { ...value });
        assert.equal(envelopeSize(value), encodeEnvelope(value).length);
      }),
    );
  });

  test('is a plain byte vector for the engine', () => {
    const size = envelopeCodec.encodedSize(envelope);
    const bytes = Buffer.alloc(size + 3, 0xee);
    assert.equal(envelopeCodec.encode(envelope, bytes, 3), size + 3);
    assert.deepEqual(Buffer.from(bytesCodec.decode(bytes.subarray(3))), encodeEnvelope(envelope));
    assert.deepEqual(envelopeCodec.decode(bytes.subarray(3)), envelope);
  });

  test('refuses fields that do not fit', () => {
    assert.throws(() => encodeEnvelope({ ...envelope, putId: 'x'.repeat(257) }), { code: 'out-of-range' });
    assert.throws(() => encodeEnvelope({ ...envelope, key: 'x'.repeat(65_536) }), { code: 'out-of-range' });
    assert.throws(() => encodeEnvelope({ ...envelope, archivedAtMs: -1 }), { code: 'out-of-range' });
  });

  test('is refused when it is cut off, of another version, or has unknown flags', () => {
    const whole = encodeEnvelope(envelope);
    const headSize = whole.length - envelope.payload.length;
    for (let size = 0; size < headSize; size++) {
      assert.throws(() => decodeEnvelope(whole.subarray(0, size)), { code: 'malformed' }, `${size} bytes`);
    }
    for (const [at, value] of [
      [0, 2],
      [0, 0],
      [1, 1],
      [1, 0x80],
    ] as const) {
      const bytes = Buffer.from(whole);
      bytes[at] = value;
      assert.throws(() => decodeEnvelope(bytes), { code: 'malformed' });
    }
  });

  test('is refused when its texts are not UTF-8', () => {
    const bytes = encodeEnvelope({ ...envelope, key: 'abc' });
    bytes[bytes.length - envelope.payload.length - 1] = 0xff;
    assert.throws(() => decodeEnvelope(bytes), { code: 'malformed' });
  });
});
