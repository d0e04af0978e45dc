import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeCheckpointNotice } from '../../src/protocol/checkpoint-notice.ts';
import { parseJobText } from '../../src/protocol/job-text.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob } from '../../src/protocol/lookup-job.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { decodePutJob } from '../../src/protocol/put-job.ts';
import { addressOf } from '../../src/protocol/reply-address.ts';
import { decodeReplyMessage } from '../../src/protocol/reply-message.ts';
import { type SchemaName, schema } from './schemas.ts';

const cursor = `0:${'00'.repeat(20)}`;
/** Messages that are right; the fuzzer breaks them. */
const seeds: Readonly<Record<Exclude<SchemaName, 'checkpoint-notice'>, object>> = {
  'put-job': {
    ...{ v: 1, id: 'p', ifExists: 'keep', repeat: true, replyTo: { list: 'c' } },
    records: [
      { key: 'a', value: 'aGk=' },
      { key: 'b', text: '' },
    ],
  },
  'lookup-job': { v: 1, id: 'q', replyTo: 'c', keys: ['a', ''], cursors: [cursor], values: false, deadline: 1 },
  reply: {
    ...{ v: 1, id: 'q', part: 0, last: true },
    results: [{ key: 'a', cursor, outcome: 'found', value: 'aGk=', size: 2, time: 1, put: 'p/0' }],
  },
  receipts: {
    v: 1,
    receipts: [
      { id: 'p', shard: 0, commit: 1, records: [{ cursor, outcome: 'stored' }] },
      { id: 'p', shard: 0, error: { code: 'x', message: 'y', limit: 'z' } },
    ],
  },
};

const decoders: Readonly<Record<keyof typeof seeds, (value: unknown) => unknown>> = {
  'put-job': (value) => decodePutJob(value, defaultLimits),
  'lookup-job': (value) => decodeLookupJob(value, defaultLimits),
  reply: decodeReplyMessage,
  receipts: decodeReplyMessage,
};

const names = Object.keys(seeds) as (keyof typeof seeds)[];
const oddities = fc.constantFrom<unknown>(
  ...[null, undefined, Number.NaN, -0, 1.5, -1, 2 ** 53, '', 'a', '\ud800', 'a:b', '../..', '{x}', true, [], {}, [[]]],
  ...[{ list: 'a' }, { __proto__: { v: 1 } }, JSON.parse('{"__proto__":{"v":1}}'), 'aGk', cursor, { length: 1 }, 1n],
);
const replacement = fc.oneof(oddities, fc.jsonValue({ maxDepth: 2 }), fc.string({ unit: 'binary' }), fc.anything());

/** A message in which some values, at any depth, are replaced, removed or added. */
function broken(value: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(value)) {
    const items = fc.tuple(...value.map((item) => mutated(item)));
    return fc.tuple(items, fc.array(replacement, { maxLength: 1 })).map(([kept, added]) => [...kept, ...added]);
  }
  if (typeof value !== 'object' || value === null) return fc.constant(value);
  const fields = Object.fromEntries(Object.entries(value).map(([name, field]) => [name, mutated(field)]));
  return fc.record(fields, { requiredKeys: [] });
}

function mutated(value: unknown): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: broken(value) }, { weight: 1, arbitrary: replacement });
}

/** Whether it was decoded; anything but a ProtocolError fails the test. */
function accepts(decode: (value: unknown) => unknown, value: unknown): boolean {
  try {
    decode(value);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

describe('a decoder', () => {
  for (const name of names) {
    it(`throws nothing but a ProtocolError, whatever it gets as ${name}`, () => {
      let acceptedCount = 0;
      fc.assert(
        fc.property(mutated(seeds[name]), (value) => {
          if (accepts(decoders[name], value)) acceptedCount += 1;
          addressOf(value, defaultLimits);
        }),
        { numRuns: 3000, seed: 20_261_122 },
      );
      assert.ok(acceptedCount > 20, `only ${acceptedCount} messages were right: the fuzzer tests little`);
    });
  }

  for (const name of ['put-job', 'lookup-job'] as const) {
    it(`accepts as ${name} only what the published schema accepts`, () => {
      const validate = schema(name);
      fc.assert(
        fc.property(mutated(seeds[name]), (value) => {
          const json = throughJson(value);
          if (json !== undefined && accepts(decoders[name], json))
            assert.ok(validate(json), JSON.stringify(validate.errors));
        }),
        { numRuns: 1500 },
      );
    });
  }

  it('throws nothing but a ProtocolError for any text', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.json());
    fc.assert(
      fc.property(text, (json) => {
        for (const name of names) accepts((value) => decoders[name](parseJobText(String(value), defaultLimits)), json);
      }),
      { numRuns: 1000 },
    );
  });

  it('throws nothing but a ProtocolError for any hash', () => {
    const field = fc.constantFrom('v', 'instance', 'epoch', 'checkpoint', 'commit', 'records', 'time', '__proto__');
    const value = fc.oneof(
      fc.string(),
      fc.constantFrom('1', '0', '-1', '9'.repeat(30), 'a'.repeat(56), '0'.repeat(56)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(field, value)), (entries) => {
        accepts(() => decodeCheckpointNotice(Object.fromEntries(entries)), undefined);
      }),
      { numRuns: 1000 },
    );
  });
});

/** What arrives of the value when it travels as JSON; `undefined` if it cannot travel. */
function throughJson(value: unknown): unknown {
  try {
    const text = JSON.stringify(value);
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
