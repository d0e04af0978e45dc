/** Messages of the contract with something wrong in them, for everything that takes what a stranger sends. */
import fc from 'fast-check';
import type { SchemaName } from './schemas.ts';

const cursor = `0:${'00'.repeat(20)}`;
/** Messages that are right; the fuzzer breaks them. */
export const rightMessages: Readonly<Record<Exclude<SchemaName, 'checkpoint-notice'>, object>> = {
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
  topology: {
    v: 1,
    generations: [
      { shards: 1, time: 0 },
      { shards: 4, time: 5 },
    ],
  },
};

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

export function mutated(value: unknown): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: broken(value) }, { weight: 1, arbitrary: replacement });
}

/** What arrives of the value when it travels as JSON; `undefined` if it cannot travel. */
export function throughJson(value: unknown): unknown {
  try {
    const text = JSON.stringify(value);
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
