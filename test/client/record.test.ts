import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeRecord } from '../../src/client/record.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodePutJob } from '../../src/protocol/put-job.ts';

const encode = (key: string, value: Uint8Array | string) =>
  encodeRecord({ key, value }, 'records[0]', defaultLimits, 4);

describe('a record', () => {
  it('arrives as it was, and takes no more room in a job than was reckoned', () => {
    const key = fc.string({ unit: 'grapheme', maxLength: 50 });
    const value = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array(),
      fc.string({ unit: fc.constantFrom('\0', '"', 'a') }),
    );
    fc.assert(
      fc.property(key, value, (key, value) => {
        const { wire, jsonBytes } = encode(key, value);
        assert.ok(Buffer.byteLength(`${JSON.stringify(wire)},`) <= jsonBytes);
        const [record] = decodePutJob({ v: 1, records: [wire] }, defaultLimits).records;
        assert.deepEqual([record?.key, record?.payload], [key, Buffer.from(value)]);
      }),
    );
  });

  it('travels as text where that is shorter, else in base64', () => {
    assert.deepEqual(encode('k', 'plain "text"').wire, { key: 'k', text: 'plain "text"' });
    assert.deepEqual(encode('k', '\0'.repeat(3)).wire, { key: 'k', value: 'AAAA' });
    assert.deepEqual(encode('k', Buffer.from('plain')).wire, { key: 'k', value: 'cGxhaW4=' });
    assert.deepEqual(encode('k', '').wire, { key: 'k', text: '' });
  });
});
