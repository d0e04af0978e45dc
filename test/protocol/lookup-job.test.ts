import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob, encodeLookupJob } from '../../src/protocol/lookup-job.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { addressOf } from '../../src/protocol/reply-address.ts';
import { assertRefused } from './protocol-assert.ts';

const cursor = `3:${'0a'.repeat(20)}`;
const job = { v: 1, id: 'q-1', replyTo: 'shop-1', keys: ['a'] };
const decode = (value: unknown, limits = defaultLimits) => decodeLookupJob(value, limits);

describe('a lookup job', () => {
  it('is decoded with its stored keys and cursors', () => {
    assert.deepEqual(decode({ ...job, cursors: [cursor, cursor], values: false, deadline: 5 }), {
      id: 'q-1',
      replyTo: { kind: 'client', client: 'shop-1' },
      keys: [{ key: 'a', storedKey: storedKeyOf('a') }],
      cursors: Array(2).fill({ shard: 3, bytes: Buffer.alloc(20, 0x0a), text: cursor }),
      values: false,
      deadline: 5,
    });
  });

  it('brings the values and has no deadline of its own by default', () => {
    const decoded = decode({ v: 1, id: 'q', replyTo: 'c', cursors: [cursor] });
    assert.deepEqual([decoded.keys, decoded.values, decoded.deadline], [[], true, undefined]);
  });

  it('survives encoding', () => {
    const { replyTo } = decode(job);
    assert.deepEqual(encodeLookupJob({ id: 'q-1', replyTo, keys: ['a'], cursors: [], values: true }), job);
    const full = { ...job, cursors: [cursor], values: false, deadline: 17 };
    assert.deepEqual(encodeLookupJob({ ...full, replyTo }), full);
  });

  it('is refused for each field that is wrong, with the name of the field', () => {
    for (const [code, field, value] of [
      ['unsupported-version', 'v', { ...job, v: 0 }],
      ['missing-field', 'id', { ...job, id: undefined }],
      ['missing-field', 'replyTo', { ...job, replyTo: undefined }],
      ['missing-field', 'keys', { ...job, keys: undefined }],
      ['missing-field', 'keys', { ...job, keys: [], cursors: [] }],
      ['invalid-field', 'keys', { ...job, keys: 'a' }],
      ['invalid-field', 'keys[1]', { ...job, keys: ['a', null] }],
      ['invalid-text', 'keys[0]', { ...job, keys: ['\ud800'] }],
      ['invalid-field', 'cursors', { ...job, cursors: cursor }],
      ['invalid-cursor', 'cursors[0]', { ...job, cursors: [cursor.toUpperCase()] }],
      ['invalid-cursor', 'cursors[0]', { ...job, cursors: [17] }],
      ['invalid-field', 'values', { ...job, values: 1 }],
      ['invalid-field', 'deadline', { ...job, deadline: '5' }],
      ['invalid-field', 'deadline', { ...job, deadline: -1 }],
      ['invalid-field', 'deadline', { ...job, deadline: 1.5 }],
      ['invalid-field', 'deadline', { ...job, deadline: Number.NaN }],
      ['invalid-field', 'deadline', { ...job, deadline: 2 ** 53 }],
    ] as const) {
      assertRefused(code, field, () => decode(value));
    }
  });

  it('is refused above the limits of keys and of their bytes', () => {
    const limits = { ...defaultLimits, lookupCountMax: 2, keyBytesMax: 3 };
    assert.equal(decode({ ...job, cursors: [cursor] }, limits).cursors.length, 1);
    const many = { ...job, keys: ['a', 'b'], cursors: [cursor] };
    assert.equal(
      assertRefused('limit-exceeded', 'keys and cursors', () => decode(many, limits)).details.limit,
      'lookupCountMax',
    );
    const long = { ...job, keys: ['éé'] };
    assert.equal(assertRefused('limit-exceeded', 'keys[0]', () => decode(long, limits)).details.limit, 'keyBytesMax');
  });
});

describe('whom to answer when a message was refused', () => {
  it('is known from its id and replyTo alone', () => {
    const expected = { id: 'q-1', replyTo: { kind: 'list', list: 'l' } };
    assert.deepEqual(addressOf({ v: 9, id: 'q-1', replyTo: { list: 'l' }, keys: 5 }, defaultLimits), expected);
  });

  it('is told under the id as it was sent, for the id may be what was wrong', () => {
    const replyTo = { kind: 'client', client: 'c' };
    for (const [id, told] of [
      ['a b', 'a b'],
      ['a\0b', 'a\0b'],
      ['', ''],
      ['i'.repeat(200), 'i'.repeat(defaultLimits.idLengthMax)],
      [7, ''],
      [undefined, ''],
    ]) {
      assert.deepEqual(addressOf({ ...(id === undefined ? {} : { id }), replyTo: 'c' }, defaultLimits), {
        id: told,
        replyTo,
      });
    }
  });

  it('is nobody if replyTo is missing or wrong', () => {
    for (const value of [undefined, 'x', [], { id: 'a' }, { id: 'a', replyTo: ':' }, { id: 'a', replyTo: {} }]) {
      assert.equal(addressOf(value, defaultLimits), undefined);
    }
  });
});
