import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeReceipts, encodeReceipts, type Receipt, receiptMessages } from '../../src/protocol/receipts.ts';
import {
  decodeReply,
  encodeReply,
  type LookupResult,
  partBytes,
  refusalReply,
  replyBytes,
  replyParts,
} from '../../src/protocol/reply.ts';
import { decodeReplyMessage } from '../../src/protocol/reply-message.ts';
import { assertRefused } from './protocol-assert.ts';

const cursor = `0:${'ff'.repeat(20)}`;
const found: LookupResult = {
  ...{
    key: 'a',
    cursor,
    outcome: 'found',
    value: Buffer.from('hello'),
    size: 5,
    time: 17,
    put: 'p/0',
    error: undefined,
  },
};
const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('a reply', () => {
  it('survives the wire', () => {
    const error = { code: 'wrong-cursor', message: 'no', limit: 'x' };
    const invalid: LookupResult = { ...found, key: undefined, outcome: 'invalid', value: undefined, error };
    const reply = { id: 'q', part: 2, last: false, results: [found, invalid], error: undefined };
    assert.deepEqual(decodeReply(overTheWire(encodeReply(reply))), reply);
  });

  it('says the same as bytes', () => {
    const error = { code: 'wrong-cursor', message: 'a "quote"' };
    const named = { key: 'Straße "17"\n', outcome: 'found', value: Buffer.from([0xff, 0, 0xfe]), size: 3 } as const;
    const results: LookupResult[] = [
      found,
      named,
      { ...named, value: Buffer.alloc(0) },
      { cursor, outcome: 'invalid', error },
      { key: '', outcome: 'missing' },
    ];
    for (const reply of [
      { id: 'q', part: 2, last: false, results },
      { id: '"', part: 0, last: true, results: [] },
      refusalReply('q', error),
    ])
      assert.deepEqual(JSON.parse(replyBytes(reply).toString()), overTheWire(encodeReply(reply)));
  });

  it('may be the refusal of a whole lookup', () => {
    const reply = refusalReply('q', { code: 'missing-field', message: 'keys: missing' });
    const message = decodeReplyMessage(overTheWire(encodeReply(reply)));
    assert.deepEqual(message, { kind: 'reply', reply });
  });

  it('has an empty value where an empty one was found', () => {
    const [part] = replyParts('q', [{ key: 'a', outcome: 'found', value: Buffer.alloc(0) }]);
    assert.ok(part);
    assert.deepEqual(decodeReply(overTheWire(encodeReply(part))).results[0]?.value, Buffer.alloc(0));
  });

  it('is cut into parts that stay near their size and hold every result once, in order', () => {
    const results = Array.from({ length: 500 }, (_, index): LookupResult => {
      return { key: `${index}`, outcome: 'found', value: Buffer.alloc((index * 37) % 5000, index) };
    });
    const parts = [...replyParts('q', results)];
    assert.ok(parts.length > 3);
    assert.deepEqual(
      parts.map(({ part }) => part),
      [...parts.keys()],
    );
    assert.deepEqual(
      parts.map(({ last }) => last),
      [...parts.keys()].map((index) => index === parts.length - 1),
    );
    assert.deepEqual(
      parts.flatMap((part) => part.results),
      results,
    );
    for (const part of parts) assert.ok(Buffer.byteLength(JSON.stringify(encodeReply(part))) <= partBytes);
  });

  it('gives a result that is larger than a part a part of its own', () => {
    const large: LookupResult = { key: 'l', outcome: 'found', value: Buffer.alloc(partBytes) };
    const small: LookupResult = { key: 's', outcome: 'missing' };
    const parts = [...replyParts('q', [small, large, small])];
    assert.deepEqual(
      parts.map((part) => part.results.length),
      [1, 1, 1],
    );
  });

  it('has one part, the last, even without results', () => {
    assert.deepEqual([...replyParts('q', [])], [{ id: 'q', part: 0, last: true, results: [] }]);
  });

  it('is refused for each field that is wrong', () => {
    const wire = encodeReply({ id: 'q', part: 0, last: true, results: [found] });
    for (const [code, field, value] of [
      ['invalid-field', 'last', { ...wire, last: 'yes' }],
      ['invalid-field', 'part', { ...wire, part: -1 }],
      ['missing-field', 'id', { ...wire, id: undefined }],
      ['missing-field', 'results[0].outcome', { ...wire, results: [{ key: 'a' }] }],
      ['invalid-field', 'results[0].outcome', { ...wire, results: [{ key: 'a', outcome: 'lost' }] }],
      ['missing-field', 'results[0]', { ...wire, results: [{ outcome: 'missing' }] }],
      ['invalid-cursor', 'results[0].cursor', { ...wire, results: [{ cursor: 'x', outcome: 'missing' }] }],
      ['invalid-base64', 'results[0].value', { ...wire, results: [{ key: 'a', outcome: 'found', value: 'a' }] }],
      [
        'missing-field',
        'results[0].error.message',
        { ...wire, results: [{ key: 'a', outcome: 'corrupt', error: { code: 'x' } }] },
      ],
    ] as const) {
      assertRefused(code, field, () => decodeReply(value));
    }
  });
});

describe('receipts', () => {
  const stored: Receipt = { id: 'p', shard: 4, commit: 9, records: [{ cursor, outcome: 'kept' }] };
  const refused: Receipt = {
    id: 'p2',
    shard: 4,
    error: { code: 'limit-exceeded', message: 'm', limit: 'keyBytesMax' },
  };

  it('survive the wire', () => {
    const message = decodeReplyMessage(overTheWire(encodeReceipts([stored, refused])));
    assert.deepEqual(message, { kind: 'receipts', receipts: [stored, refused] });
  });

  it('are cut into messages that stay near their size and hold every receipt once, in order', () => {
    const records = Array.from({ length: 300 }, () => ({ cursor, outcome: 'stored' as const }));
    const receipts = Array.from({ length: 50 }, (_, index) => ({ id: `${index}`, shard: 0, commit: 1, records }));
    const messages = [...receiptMessages(receipts)];
    assert.ok(messages.length > 3);
    assert.deepEqual(
      messages.flatMap((message) => message.receipts),
      receipts,
    );
    for (const message of messages) assert.ok(Buffer.byteLength(JSON.stringify(message)) <= partBytes);
    assert.deepEqual([...receiptMessages([])], []);
  });

  it('are refused for each field that is wrong', () => {
    for (const [code, field, value] of [
      ['invalid-field', 'receipts', { v: 1, receipts: {} }],
      ['invalid-field', 'receipts[0].shard', { v: 1, receipts: [{ ...stored, shard: '4' }] }],
      ['missing-field', 'receipts[0].commit', { v: 1, receipts: [{ ...stored, commit: undefined }] }],
      [
        'invalid-cursor',
        'receipts[0].records[0].cursor',
        { v: 1, receipts: [{ ...stored, records: [{ cursor: '', outcome: 'kept' }] }] },
      ],
      ['missing-field', 'receipts[0].records[0].outcome', { v: 1, receipts: [{ ...stored, records: [{ cursor }] }] }],
      ['missing-field', 'receipts[1].error.code', { v: 1, receipts: [stored, { ...refused, error: {} }] }],
    ] as const) {
      assertRefused(code, field, () => decodeReceipts(value));
    }
    assertRefused('missing-field', 'results', () => decodeReplyMessage({ v: 1 }));
  });
});
