/** Payloads that have hurt programs of this kind. Each is refused, with the code that the contract names for it. */
import { shard, valueBytesMax } from './post-office.ts';

export interface NastyPayload {
  readonly kind: 'put' | 'lookup';
  readonly what: string;
  /** The job's data as Redis keeps it. */
  readonly text: string;
  /** The first word of the reason; undefined for one that is strange and right. */
  readonly code: string | undefined;
}

/** Is in the keys of everything that must not be stored. */
export const poison = 'must not be stored';

const record = { key: poison, text: 'x' };
const cursor = `${shard}:${'0'.repeat(40)}`;
const list = { list: 'lab' };

function put(what: string, fields: object, code: string | undefined): NastyPayload {
  return { kind: 'put', what, text: JSON.stringify({ v: 1, records: [record], ...fields }), code };
}

function lookup(what: string, fields: object, code: string | undefined): NastyPayload {
  return { kind: 'lookup', what, text: JSON.stringify({ v: 1, id: 'q', replyTo: list, keys: ['k'], ...fields }), code };
}

function raw(what: string, text: string, code: string | undefined): readonly NastyPayload[] {
  return (['put', 'lookup'] as const).map((kind) => ({ kind, what, text, code }));
}

function recordWith(what: string, fields: object, code: string): NastyPayload {
  return put(what, { records: [{ key: poison, ...fields }] }, code);
}

const depth = 400_000;

export const nastyPayloads: readonly NastyPayload[] = [
  // BullMQ takes no data for an empty object.
  ...raw('nothing', '', 'missing-field'),
  ...raw('no JSON', '{not json', 'malformed-json'),
  ...raw('NaN', '{"v":NaN}', 'malformed-json'),
  ...raw('a number out of all bounds', `{"v":1e${'9'.repeat(300)}}`, 'unsupported-version'),
  ...raw('a byte of no UTF-8', '{"v":1,"\ufffd":1', 'malformed-json'),
  ...raw('brackets without end', '['.repeat(depth), 'malformed-json'),
  ...raw('brackets as deep as they go', `${'['.repeat(depth)}${']'.repeat(depth)}`, 'invalid-field'),
  ...raw('null', 'null', 'invalid-field'),
  ...raw('an array', '[1]', 'invalid-field'),
  ...raw('text', '"v"', 'invalid-field'),
  ...raw('no version', '{}', 'missing-field'),
  ...raw('version 2', '{"v":2}', 'unsupported-version'),
  ...raw('the version as text', '{"v":"1"}', 'unsupported-version'),
  ...raw('a version by its prototype', '{"__proto__":{"v":1,"records":[],"keys":[]}}', 'missing-field'),
  put('no records', { records: [] }, 'invalid-field'),
  put('records that are an object', { records: { length: 1, 0: record } }, 'invalid-field'),
  put('more records than may be', { records: Array.from({ length: 1001 }, () => record) }, 'limit-exceeded'),
  put('a record that is null', { records: [null] }, 'invalid-field'),
  put('a key that is a number', { records: [{ key: 1, text: '' }] }, 'invalid-field'),
  put('a key by its prototype', { records: [JSON.parse('{"__proto__":{"key":"k"},"text":""}')] }, 'missing-field'),
  put('a key above the limit', { records: [{ key: 'k'.repeat(1025), text: '' }] }, 'limit-exceeded'),
  put('a key of a lone surrogate', { records: [{ key: '\ud800', text: '' }] }, 'invalid-text'),
  recordWith('neither value nor text', {}, 'missing-field'),
  recordWith('both value and text', { value: '', text: '' }, 'invalid-field'),
  recordWith('a value that is null', { value: null }, 'invalid-field'),
  recordWith('base64 without padding', { value: 'aGk' }, 'invalid-base64'),
  recordWith('base64 for URLs', { value: '_-8=' }, 'invalid-base64'),
  recordWith('base64 with a line feed', { value: 'aGk=\n' }, 'invalid-base64'),
  recordWith('base64 with bits left over', { value: 'aGl=' }, 'invalid-base64'),
  recordWith('text of a lone surrogate', { text: 'x\udc00' }, 'invalid-text'),
  recordWith('a value above the limit', { text: 'x'.repeat(valueBytesMax + 1) }, 'limit-exceeded'),
  put('an id with a blank', { id: 'a b' }, 'invalid-field'),
  put('an id with a NUL', { id: 'a\0b' }, 'invalid-field'),
  put('an id above the limit', { id: 'i'.repeat(129) }, 'limit-exceeded'),
  put('a word that ifExists has not', { ifExists: 'overwrite' }, 'invalid-field'),
  put('ifExists from a prototype', { ifExists: 'constructor' }, 'invalid-field'),
  put('repeat without id', { repeat: true }, 'missing-field'),
  put('repeat that is a number', { id: 'p', repeat: 1 }, 'invalid-field'),
  put('a reply without id', { replyTo: list }, 'missing-field'),
  ...['../../etc/passwd', 'a/../b', '..', 'a:b', '{x}', 'a\0', '', ' ', 'a*', `${'c'.repeat(65)}`].flatMap((name) => [
    put(`the client ${JSON.stringify(name)}`, { id: 'p', replyTo: name }, 'invalid-reply-to'),
    put(`the list ${JSON.stringify(name)}`, { id: 'p', replyTo: { list: name } }, 'invalid-reply-to'),
    lookup(`the list ${JSON.stringify(name)}`, { replyTo: { list: name } }, 'invalid-reply-to'),
  ]),
  put('a list by its prototype', { id: 'p', replyTo: JSON.parse('{"__proto__":{"list":"a"}}') }, 'invalid-reply-to'),
  lookup('no id', { id: undefined }, 'missing-field'),
  lookup('no reply', { replyTo: undefined }, 'missing-field'),
  lookup('a client that nobody is', { replyTo: 'nobody' }, undefined),
  lookup('neither key nor cursor', { keys: [] }, 'missing-field'),
  lookup('more keys than may be', { keys: Array.from({ length: 1001 }, () => 'k') }, 'limit-exceeded'),
  lookup('a deadline of no number', { deadline: 'soon' }, 'invalid-field'),
  lookup('a deadline below nothing', { deadline: -1 }, 'invalid-field'),
  lookup('values as text', { values: 'no' }, 'invalid-field'),
  ...['', ':', '0:', `0:${'0'.repeat(39)}`, `0:${'0'.repeat(41)}`, `0:${'G'.repeat(40)}`, `-1:${'0'.repeat(40)}`].map(
    (text) => lookup(`the cursor ${JSON.stringify(text)}`, { cursors: [text] }, 'invalid-cursor'),
  ),
  ...[cursor, `${shard}:${'f'.repeat(40)}`, `${shard}:${'0'.repeat(32)}ffffffff`, `7:${'0'.repeat(40)}`].map((text) =>
    lookup(`the forged cursor ${text}`, { cursors: [text] }, undefined),
  ),
];
