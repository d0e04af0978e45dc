import { assert } from '../base/assert.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { parseCursor } from './cursor-text.ts';
import {
  type JsonObject,
  join,
  protocolVersion,
  readArray,
  readCount,
  readField,
  readMessage,
  readObject,
  readOptionalCount,
  readOptionalString,
  readOptionalWord,
  readString,
  refused,
} from './fields.ts';
import type { WireError } from './protocol-error.ts';
import { readOptionalWireError } from './wire-error.ts';

/**
 * How the lookup of one key or cursor ended.
 *
 * - `found`; `missing`: no such record. `corrupt`: the record is there and damaged.
 * - `expired`: the deadline passed before it was read. `invalid`: the cursor names no record of this shard.
 * - `too-large`: the limit on values in one reply is used up: ask for it alone. Without `size` it was not looked for.
 * - `unavailable`: not known now; ask again.
 */
export type LookupOutcome = 'found' | 'missing' | 'corrupt' | 'expired' | 'invalid' | 'too-large' | 'unavailable';

export const lookupOutcomes: readonly LookupOutcome[] = [
  'found',
  'missing',
  'corrupt',
  'expired',
  'invalid',
  'too-large',
  'unavailable',
];

/** The answer to one key or cursor. Which of the two was asked follows from its place in the reply. */
export interface LookupResult {
  /** As it was asked; or, found by cursor, the key of that record. */
  readonly key?: string | undefined;
  /** As it was asked; or, found by key, the place of that record. */
  readonly cursor?: string | undefined;
  readonly outcome: LookupOutcome;
  /** The payload; there if it was found and asked for. */
  readonly value?: Buffer | undefined;
  /** Bytes of the payload; there if it was found or `too-large`. */
  readonly size?: number | undefined;
  /** When it was archived, in milliseconds since the Unix epoch; there if it was found. */
  readonly time?: number | undefined;
  /** Put id and index of the record, as one text: it orders versions of the same time. */
  readonly put?: string | undefined;
  readonly error?: WireError | undefined;
}

/** One part of the answer to a lookup. The parts together hold a result a question: first the keys, then the cursors. */
export interface Reply {
  readonly id: string;
  /** Number of this part, from 0. */
  readonly part: number;
  readonly last: boolean;
  readonly results: readonly LookupResult[];
  /** The lookup was refused as a whole; then there are no results. */
  readonly error?: WireError | undefined;
}

export interface ResultWire {
  readonly key?: string;
  readonly cursor?: string;
  readonly outcome: LookupOutcome;
  readonly value?: string;
  readonly size?: number;
  readonly time?: number;
  readonly put?: string;
  readonly error?: WireError;
}

export interface ReplyWire {
  readonly v: 1;
  readonly id: string;
  readonly part: number;
  readonly last: boolean;
  readonly results: readonly ResultWire[];
  readonly error?: WireError;
}

/** JSON bytes that a part of a reply, or a message of receipts, aims at; one large result may make it larger. */
export const partBytes = 262_144;
/** More than the names and numbers of one result take in JSON. */
const resultOverheadBytes = 512;

/** The parts that answer a lookup, at least one; each takes results until it reaches `partBytes`. */
export function* replyParts(id: string, results: readonly LookupResult[]): Generator<Reply> {
  let part = 0;
  let start = 0;
  let bytes = 0;
  for (const [index, result] of results.entries()) {
    const size = approximateBytes(result);
    if (index > start && bytes + size > partBytes) {
      yield { id, part, last: false, results: results.slice(start, index) };
      part += 1;
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  yield { id, part, last: true, results: results.slice(start) };
}

/** The one part that refuses a lookup as a whole. */
export function refusalReply(id: string, error: WireError): Reply {
  return { id, part: 0, last: true, results: [], error };
}

export function encodeReply(reply: Reply): ReplyWire {
  return {
    v: protocolVersion,
    id: reply.id,
    part: reply.part,
    last: reply.last,
    results: reply.results.map(encodeResult),
    ...(reply.error === undefined ? {} : { error: reply.error }),
  };
}

/**
 * The JSON of a reply, in bytes, as that of `encodeReply` but for the order of fields.
 *
 * Base64 needs no escaping and is most of it. Each value goes to its place in the one memory that is sent; a text of all of
 * them would be looked through, measured and copied several times on its way.
 */
export function replyBytes({ id, part, last, results, error }: Reply): Buffer {
  const head = `${opened(JSON.stringify({ v: protocolVersion, id, part, last }))},"results":[`;
  const tail = error === undefined ? ']}' : `],"error":${JSON.stringify(error)}}`;
  const facts = results.map(factsOf);
  let size = Buffer.byteLength(head) + Buffer.byteLength(tail) + Math.max(0, results.length - 1);
  for (const [index, { value }] of results.entries()) {
    size += Buffer.byteLength(facts[index] ?? '') + 1;
    if (value !== undefined) size += valueField.length + base64Size(value.length) + 1;
  }
  const into = Buffer.allocUnsafe(size);
  let at = 0;
  let text = head;
  for (const [index, { value }] of results.entries()) {
    text += `${index > 0 ? ',' : ''}${facts[index] ?? ''}`;
    if (value !== undefined) {
      at += into.write(`${text}${valueField}`, at);
      at += into.write(encodeBase64(value), at, 'latin1');
      text = '"';
    }
    text += '}';
  }
  at += into.write(`${text}${tail}`, at);
  assert(at === size, 'a reply of the size that was reckoned');
  return into;
}

const valueField = ',"value":"';

/** The JSON of a result without its value and its end. Only texts of others need escaping. */
function factsOf({ key, cursor, outcome, size, time, put, error }: LookupResult): string {
  let text = `{"outcome":"${outcome}"`;
  if (key !== undefined) text += `,"key":${JSON.stringify(key)}`;
  if (cursor !== undefined) text += `,"cursor":${JSON.stringify(cursor)}`;
  if (size !== undefined) text += `,"size":${size}`;
  if (time !== undefined) text += `,"time":${time}`;
  if (put !== undefined) text += `,"put":${JSON.stringify(put)}`;
  if (error !== undefined) text += `,"error":${JSON.stringify(error)}`;
  return text;
}

/** The JSON of an object, to which a field is to be added. */
function opened(text: string): string {
  return text.slice(0, -1);
}

function base64Size(size: number): number {
  return Math.ceil(size / 3) * 4;
}

/** The reply in a parsed message. Errors: ProtocolError. */
export function decodeReply(value: unknown): Reply {
  const message = readMessage(value);
  const last = readField(message, 'last');
  if (typeof last !== 'boolean') throw refused('invalid-field', 'last', 'not true or false');
  return {
    id: readString(message, 'id', ''),
    part: readCount(message, 'part', ''),
    last,
    results: readArray(message, 'results', '').map(decodeResult),
    error: readOptionalWireError(message, ''),
  };
}

/** Field by field, in the order of the contract: an object literal with a spread a field takes several times as long. */
function encodeResult(result: LookupResult): ResultWire {
  const { key, cursor, value, size, time, put, error } = result;
  const wire: { -readonly [Name in keyof ResultWire]?: ResultWire[Name] } = {};
  if (key !== undefined) wire.key = key;
  if (cursor !== undefined) wire.cursor = cursor;
  wire.outcome = result.outcome;
  if (value !== undefined) wire.value = encodeBase64(value);
  if (size !== undefined) wire.size = size;
  if (time !== undefined) wire.time = time;
  if (put !== undefined) wire.put = put;
  if (error !== undefined) wire.error = error;
  return wire as ResultWire;
}

function decodeResult(value: unknown, index: number): LookupResult {
  const path = `results[${index}]`;
  const result = readObject(value, path);
  const outcome = readOptionalWord(result, 'outcome', path, lookupOutcomes);
  if (outcome === undefined) throw refused('missing-field', join(path, 'outcome'), 'missing');
  const key = readOptionalString(result, 'key', path);
  const cursor = readOptionalString(result, 'cursor', path);
  if (key === undefined && cursor === undefined) throw refused('missing-field', path, 'has neither key nor cursor');
  if (cursor !== undefined) parseCursor(cursor, join(path, 'cursor'));
  return {
    ...{ key, cursor, outcome, value: decodeValue(result, path) },
    size: readOptionalCount(result, 'size', path),
    time: readOptionalCount(result, 'time', path),
    put: readOptionalString(result, 'put', path),
    error: readOptionalWireError(result, path),
  };
}

function decodeValue(result: JsonObject, path: string): Buffer | undefined {
  const text = readOptionalString(result, 'value', path);
  return text === undefined ? undefined : decodeBase64(text, join(path, 'value'));
}

function approximateBytes(result: LookupResult): number {
  // A key of control characters takes six bytes a character.
  return resultOverheadBytes + (result.key?.length ?? 0) * 6 + base64Size(result.value?.length ?? 0);
}
