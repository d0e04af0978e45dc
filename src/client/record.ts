import { encodeBase64 } from '../protocol/base64.ts';
import { checkLimit, type ProtocolLimits } from '../protocol/limits.ts';
import type { RecordWire } from '../protocol/put-job.ts';
import { checkKey, checkWellFormed, shardOf, storedKeyOf } from '../protocol/record-key.ts';

/** What a producer archives: a key, and bytes or text. Text is archived as its UTF-8 bytes. */
export interface ClientRecord {
  readonly key: string;
  readonly value: Uint8Array | string;
}

/** A record ready to be sent. */
export interface EncodedRecord {
  readonly shard: number;
  readonly wire: RecordWire;
  /** About what it takes in a job, as JSON. */
  readonly jsonBytes: number;
}

/** Bytes of a record's JSON beside key and value. */
const frameBytes = 24;

/** The record, if it is within the limits. Errors: ProtocolError; `field` says which record it was. */
export function encodeRecord(
  record: ClientRecord,
  field: string,
  limits: ProtocolLimits,
  shardCount: number,
): EncodedRecord {
  const { key, value } = record;
  checkKey(key, `${field}.key`, limits);
  const shard = shardCount === 1 ? 0 : shardOf(storedKeyOf(key), shardCount);
  const keyBytes = Buffer.byteLength(JSON.stringify(key));
  const { wire, valueBytes } =
    typeof value === 'string' ? encodeText(key, value, field, limits) : encodeBytes(key, value, field, limits);
  return { shard, wire, jsonBytes: frameBytes + keyBytes + valueBytes };
}

interface EncodedValue {
  readonly wire: RecordWire;
  readonly valueBytes: number;
}

function encodeBytes(key: string, value: Uint8Array, field: string, limits: ProtocolLimits): EncodedValue {
  checkLimit(limits, 'valueBytesMax', value.byteLength, `${field}.value`);
  const base64 = encodeBase64(value);
  return { wire: { key, value: base64 }, valueBytes: base64.length };
}

/** Text goes as text, unless its control characters and quotes would take more room than base64 does. */
function encodeText(key: string, text: string, field: string, limits: ProtocolLimits): EncodedValue {
  checkWellFormed(text, `${field}.value`);
  const size = Buffer.byteLength(text);
  checkLimit(limits, 'valueBytesMax', size, `${field}.value`);
  const valueBytes = Buffer.byteLength(JSON.stringify(text));
  if (valueBytes > Math.ceil(size / 3) * 4 + 2) return encodeBytes(key, Buffer.from(text), field, limits);
  return { wire: { key, text }, valueBytes };
}
