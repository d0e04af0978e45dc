import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodePutJob, encodePutJob } from '../../src/protocol/put-job.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { assertRefused } from './protocol-assert.ts';

const record = { key: 'order/17', value: 'aGVsbG8=' };
const job = { v: 1, id: 'p-1', records: [record], replyTo: 'shop-1' };
const decode = (value: unknown, limits = defaultLimits) => decodePutJob(value, limits);

describe('a put job', () => {
  it('is decoded with its stored keys and payloads', () => {
    const decoded = decode({ ...job, ifExists: 'keep', repeat: true, records: [record, { key: '', text: 'é' }] });
    assert.deepEqual(decoded, {
      id: 'p-1',
      replyTo: { kind: 'client', client: 'shop-1' },
      ifExists: 'keep',
      repeat: true,
      places: undefined,
      records: [
        { key: 'order/17', storedKey: storedKeyOf('order/17'), payload: Buffer.from('hello') },
        { key: '', storedKey: storedKeyOf(''), payload: Buffer.from('é') },
      ],
    });
  });

  it('needs only a version and a record', () => {
    const decoded = decode({ v: 1, records: [record] });
    assert.deepEqual(
      [decoded.id, decoded.replyTo, decoded.ifExists, decoded.repeat],
      [undefined, undefined, 'append', false],
    );
  });

  it('may name a list for the receipt', () => {
    assert.deepEqual(decode({ ...job, replyTo: { list: 'php-1' } }).replyTo, { kind: 'list', list: 'php-1' });
  });

  it('may hold a key twice, and fields that nobody knows', () => {
    const decoded = decode({ ...job, colour: 'blue', records: [record, { ...record, weight: 3 }] });
    assert.equal(decoded.records.length, 2);
  });

  it('survives encoding', () => {
    const wire = encodePutJob({
      id: 'p',
      records: [record],
      ifExists: 'reject',
      repeat: true,
      replyTo: decode(job).replyTo,
    });
    assert.deepEqual(wire, { v: 1, id: 'p', records: [record], ifExists: 'reject', repeat: true, replyTo: 'shop-1' });
    assert.deepEqual(encodePutJob({ records: [record], ifExists: 'append' }), { v: 1, records: [record] });
  });

  it('may say which places its records have in a put that is spread over several shards', () => {
    const records = [record, record];
    assert.deepEqual(decode({ ...job, records, places: [2, 7] }).places, [2, 7]);
    assert.deepEqual(encodePutJob({ records, places: [2, 7] }), { v: 1, records, places: [2, 7] });
    assert.deepEqual(encodePutJob({ records, places: [0, 1] }), { v: 1, records });
    for (const [field, places] of [
      ['places', 'first'],
      ['places', [0]],
      ['places', [0, 1, 2]],
      ['places[1]', [3, 3]],
      ['places[1]', [3, 2]],
      ['places[0]', [-1, 2]],
      ['places[0]', [0.5, 2]],
      ['places[1]', [0, '1']],
      ['places[1]', [0, 1_000_000]],
    ] as const) {
      assertRefused('invalid-field', field, () => decode({ ...job, records, places }));
    }
  });

  it('is refused for each field that is wrong, with the name of the field', () => {
    for (const [code, field, value] of [
      ['invalid-field', 'message', null],
      ['invalid-field', 'message', [job]],
      ['invalid-field', 'message', 'text'],
      ['missing-field', 'v', { ...job, v: undefined }],
      ['unsupported-version', 'v', { ...job, v: 2 }],
      ['unsupported-version', 'v', { ...job, v: '1' }],
      ['unsupported-version', 'v', { ...job, v: Number.NaN }],
      ['missing-field', 'records', { ...job, records: undefined }],
      ['invalid-field', 'records', { ...job, records: [] }],
      ['invalid-field', 'records', { ...job, records: { 0: record, length: 1 } }],
      ['invalid-field', 'records[1]', { ...job, records: [record, null] }],
      ['missing-field', 'records[0].key', { ...job, records: [{ value: '' }] }],
      ['invalid-field', 'records[0].key', { ...job, records: [{ key: 7, value: '' }] }],
      ['invalid-text', 'records[0].key', { ...job, records: [{ key: 'a\ud800', value: '' }] }],
      ['missing-field', 'records[0]', { ...job, records: [{ key: 'a' }] }],
      ['invalid-field', 'records[0]', { ...job, records: [{ key: 'a', value: '', text: '' }] }],
      ['invalid-field', 'records[0].value', { ...job, records: [{ key: 'a', value: { type: 'Buffer', data: [1] } }] }],
      ['invalid-text', 'records[0].text', { ...job, records: [{ key: 'a', text: '\udfff' }] }],
      ['invalid-field', 'id', { ...job, id: 17 }],
      ['invalid-field', 'id', { ...job, id: '' }],
      ['invalid-field', 'id', { ...job, id: 'two words' }],
      ['missing-field', 'id', { ...job, id: undefined }],
      ['missing-field', 'id', { v: 1, records: [record], repeat: true }],
      ['invalid-field', 'ifExists', { ...job, ifExists: 'overwrite' }],
      ['invalid-field', 'ifExists', { ...job, ifExists: null }],
      ['invalid-field', 'repeat', { ...job, repeat: 'yes' }],
      ['invalid-reply-to', 'replyTo', { ...job, replyTo: 17 }],
      ['invalid-reply-to', 'replyTo', { ...job, replyTo: null }],
      ['invalid-reply-to', 'replyTo', { ...job, replyTo: {} }],
      ['invalid-reply-to', 'replyTo', { ...job, replyTo: 'a:b' }],
      ['invalid-reply-to', 'replyTo', { ...job, replyTo: '{demo-0}-put' }],
      ['invalid-reply-to', 'replyTo.list', { ...job, replyTo: { list: 'permafrost:{demo-0}-put:wait' } }],
    ] as const) {
      assertRefused(code, field, () => decode(value));
    }
  });

  it('is refused above each limit, and the error names limit, maximum and what was found', () => {
    const limits = { ...defaultLimits, recordCountMax: 2, keyBytesMax: 4, valueBytesMax: 5, idLengthMax: 3 };
    const small = { v: 1, records: [{ key: 'éé', value: 'aGVsbG8=' }] };
    assert.equal(decode(small, limits).records.length, 1);
    for (const [limit, field, found, value] of [
      ['recordCountMax', 'records', 3, { v: 1, records: Array(3).fill(small.records[0]) }],
      ['keyBytesMax', 'records[0].key', 5, { v: 1, records: [{ key: 'ééa', value: '' }] }],
      ['valueBytesMax', 'records[0].value', 6, { v: 1, records: [{ key: 'a', value: 'aGVsbG8h' }] }],
      ['valueBytesMax', 'records[0].text', 6, { v: 1, records: [{ key: 'a', text: 'ééé' }] }],
      ['idLengthMax', 'id', 4, { ...small, id: 'four' }],
    ] as const) {
      const error = assertRefused('limit-exceeded', field, () => decode(value, limits));
      assert.deepEqual(error.details, { field, limit, max: limits[limit], found });
    }
  });

  it('never has its keys and values in an error', () => {
    for (const value of [
      { v: 1, records: [{ key: 'SECRET', value: 'SECRET!' }] },
      { v: 1, records: [{ key: 'SECRET'.repeat(999), value: '' }] },
      { v: 1, records: [{ key: 'SECRET\ud800', value: '' }] },
      { v: 1, id: 'SECRET x', records: [record] },
      { v: 1, id: 'a', replyTo: 'SECRET:', records: [record] },
    ]) {
      assert.throws(
        () => decode(value),
        (error: Error) => !`${error.message}${JSON.stringify(error)}`.includes('SECRET'),
      );
    }
  });

  it('takes nothing from a prototype', () => {
    assertRefused('missing-field', 'v', () => decode(JSON.parse('{"__proto__":{"v":1,"records":[]}}')));
    assertRefused('missing-field', 'v', () => decode(Object.create({ v: 1, records: [record] })));
    const decoded = decode(
      JSON.parse('{"v":1,"records":[{"key":"__proto__","text":"x","__proto__":{"value":"eA=="}}]}'),
    );
    assert.equal(decoded.records[0]?.key, '__proto__');
  });
});
