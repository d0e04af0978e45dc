import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeBase64, encodeBase64 } from '../../src/protocol/base64.ts';
import { formatCursor, parseCursor } from '../../src/protocol/cursor-text.ts';
import { parseJobText } from '../../src/protocol/job-text.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import { assertRefused } from './protocol-assert.ts';

describe('the stored key', () => {
  it('is the SHA-256 of the UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => {
        assert.deepEqual(storedKeyOf(key), createHash('sha256').update(key, 'utf8').digest());
      }),
    );
    assertRefused('invalid-text', 'key', () => storedKeyOf('\udc00'));
  });

  it('goes to a shard below the number of shards, and spreads evenly', () => {
    const counts = new Array<number>(7).fill(0);
    for (let index = 0; index < 7000; index += 1) {
      const shard = shardOf(storedKeyOf(`key ${index}`), 7);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    assert.equal(counts.length, 7);
    for (const count of counts) assert.ok(count > 800 && count < 1200, `${counts}`);
    assert.equal(shardOf(storedKeyOf('any'), 1), 0);
  });

  it('stays in its half when the shards are doubled', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 2048 }), (key, count) => {
        const stored = storedKeyOf(key);
        assert.equal(Math.floor(shardOf(stored, 2 * count) / 2), shardOf(stored, count));
      }),
    );
  });
});

describe('a cursor', () => {
  it('survives being text', () => {
    fc.assert(
      fc.property(fc.nat(4095), fc.uint8Array({ minLength: 20, maxLength: 20 }), (shard, bytes) => {
        assert.deepEqual(parseCursor(formatCursor(shard, bytes)), { shard, bytes: Buffer.from(bytes) });
      }),
    );
  });

  it('has one spelling only', () => {
    const hex = 'ab'.repeat(20);
    for (const text of [
      undefined,
      5,
      '',
      hex,
      `0:${hex}0`,
      `0:${hex.slice(2)}`,
      `00:${hex}`,
      `-1:${hex}`,
      ` 0:${hex}`,
      `0:${hex}\n`,
      `0:${hex.toUpperCase()}`,
      `4096:${hex}`,
      `99999:${hex}`,
    ]) {
      assertRefused('invalid-cursor', 'cursor', () => parseCursor(text));
    }
  });
});

describe('base64', () => {
  it('survives', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.deepEqual(decodeBase64(encodeBase64(bytes), 'value'), Buffer.from(bytes));
      }),
    );
  });

  it('is refused where it is not strict', () => {
    for (const text of [
      'a',
      'aG',
      'aGk',
      'aGk==',
      'aGl=',
      'aGk=\n',
      'a-_=',
      'aG k',
      '====',
      '=',
      'aGk=aGk=',
      'ä===',
      'aGk=\0',
    ]) {
      assertRefused('invalid-base64', 'value', () => decodeBase64(text, 'value'));
    }
  });

  it('is measured before it is decoded', () => {
    const bound = { limits: { ...defaultLimits, valueBytesMax: 3 }, limit: 'valueBytesMax' } as const;
    for (const size of [0, 1, 2, 3])
      assert.equal(decodeBase64(encodeBase64(Buffer.alloc(size)), 'value', bound).length, size);
    const error = assertRefused('limit-exceeded', 'value', () => decodeBase64('!!!!!!!!', 'value', bound));
    assert.equal(error.details.found, 6);
  });
});

describe("a job's text", () => {
  it('is parsed', () => {
    assert.deepEqual(parseJobText('{"v":1}', defaultLimits), { v: 1 });
  });

  it('is refused where it is not JSON, without being quoted', () => {
    for (const text of ['', '{not json', '{"v":1} SECRET', 'undefined', 'NaN']) {
      const error = assertRefused('malformed-json', 'message', () => parseJobText(text, defaultLimits));
      assert.ok(!error.message.includes('SECRET'));
    }
  });

  it('is measured in bytes before it is parsed', () => {
    const limits = { ...defaultLimits, jobBytesMax: 8 };
    assert.equal(parseJobText('"éé  "', limits), 'éé  ');
    const error = assertRefused('limit-exceeded', 'message', () => parseJobText('"ééé{{{{', limits));
    assert.deepEqual([error.details.limit, error.details.found], ['jobBytesMax', 11]);
  });

  it('may be as deep as its size allows', () => {
    const text = `${'['.repeat(500_000)}${']'.repeat(500_000)}`;
    assert.ok(Array.isArray(parseJobText(text, defaultLimits)));
  });
});
