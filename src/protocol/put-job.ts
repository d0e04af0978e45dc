import { decodeBase64 } from './base64.ts';
import {
  type JsonObject,
  join,
  protocolVersion,
  readArray,
  readMessage,
  readObject,
  readOptionalArray,
  readOptionalBoolean,
  readOptionalString,
  readOptionalWord,
  readString,
  refused,
} from './fields.ts';
import { checkLimit, type ProtocolLimits } from './limits.ts';
import { checkWellFormed, type RecordKey, readKey } from './record-key.ts';
import { encodeReplyTo, type ReplyTo, type ReplyToWire, readId, readReplyTo } from './reply-address.ts';

/**
 * What happens to a record whose key is in the archive already: `append` a new version (the default), `skip-same`
 * store nothing if the newest version has the same payload, `keep` the newest version, `reject` the whole job.
 */
export type IfExists = 'append' | 'skip-same' | 'keep' | 'reject';

const ifExistsWords: readonly IfExists[] = ['append', 'skip-same', 'keep', 'reject'];

/** Greatest place of a record in its put. */
const placeMax = 999_999;

export interface PutRecord extends RecordKey {
  readonly payload: Buffer;
}

export interface PutJob {
  /** The producer's name for this put. Stable over repetitions: the archive stores each of its records once. */
  readonly id: string | undefined;
  /** At least one; keys may repeat. */
  readonly records: readonly PutRecord[];
  readonly ifExists: IfExists;
  /** The put may have been sent before under its id: look for its records before storing them. With it there is an id. */
  readonly repeat: boolean;
  /** Place of each record in the put, where the job has only those of one shard. Rising. */
  readonly places: readonly number[] | undefined;
  /** Where the receipt goes; with it there is an id. */
  readonly replyTo: ReplyTo | undefined;
}

export type RecordWire =
  | { readonly key: string; readonly value: string }
  | { readonly key: string; readonly text: string };

export interface PutWire {
  readonly v: 1;
  readonly id?: string;
  readonly records: readonly RecordWire[];
  readonly ifExists?: IfExists;
  readonly repeat?: boolean;
  readonly places?: readonly number[];
  readonly replyTo?: ReplyToWire;
}

/** The put job in a parsed message. Each way in which it can break the contract is a ProtocolError. */
export function decodePutJob(value: unknown, limits: ProtocolLimits): PutJob {
  const message = readMessage(value);
  const id = readId(message, limits);
  const replyTo = readReplyTo(message);
  const repeat = readOptionalBoolean(message, 'repeat', '') ?? false;
  if (id === undefined && replyTo !== undefined)
    throw refused('missing-field', 'id', 'missing, and replyTo requires it');
  if (id === undefined && repeat) throw refused('missing-field', 'id', 'missing, and repeat requires it');
  const ifExists = readOptionalWord(message, 'ifExists', '', ifExistsWords) ?? 'append';
  const records = readArray(message, 'records', '');
  checkLimit(limits, 'recordCountMax', records.length, 'records');
  if (records.length === 0) throw refused('invalid-field', 'records', 'empty');
  return {
    id,
    replyTo,
    ifExists,
    repeat,
    places: readPlaces(message, records.length),
    records: records.map((record, index) => decodeRecord(record, index, limits)),
  };
}

/** Rising, so that no two records of a put have one name. */
function readPlaces(message: JsonObject, recordCount: number): readonly number[] | undefined {
  const read = readOptionalArray(message, 'places', '');
  if (read === undefined) return undefined;
  if (read.length !== recordCount) throw refused('invalid-field', 'places', 'not one for each record');
  let last = -1;
  return read.map((place, index) => {
    if (typeof place !== 'number' || !Number.isSafeInteger(place) || place <= last || place > placeMax)
      throw refused(
        'invalid-field',
        `places[${index}]`,
        `not a whole number up to ${placeMax} above the one before it`,
      );
    last = place;
    return place;
  });
}

/** The message of a put job. Leaves out what is default. */
export function encodePutJob(job: {
  readonly id?: string | undefined;
  readonly records: readonly RecordWire[];
  readonly ifExists?: IfExists | undefined;
  readonly repeat?: boolean | undefined;
  readonly places?: readonly number[] | undefined;
  readonly replyTo?: ReplyTo | undefined;
}): PutWire {
  return {
    v: protocolVersion,
    ...(job.id === undefined ? {} : { id: job.id }),
    records: job.records,
    ...(job.ifExists === undefined || job.ifExists === 'append' ? {} : { ifExists: job.ifExists }),
    ...(job.repeat === true ? { repeat: true } : {}),
    ...(job.places === undefined || job.places.every((place, index) => place === index) ? {} : { places: job.places }),
    ...(job.replyTo === undefined ? {} : { replyTo: encodeReplyTo(job.replyTo) }),
  };
}

function decodeRecord(value: unknown, index: number, limits: ProtocolLimits): PutRecord {
  const path = `records[${index}]`;
  const record = readObject(value, path);
  const key = readKey(readString(record, 'key', path), join(path, 'key'), limits);
  const base64 = readOptionalString(record, 'value', path);
  const text = readOptionalString(record, 'text', path);
  if (base64 !== undefined && text !== undefined) throw refused('invalid-field', path, 'has both value and text');
  if (base64 !== undefined) {
    const payload = decodeBase64(base64, join(path, 'value'), { limits, limit: 'valueBytesMax' });
    return { ...key, payload };
  }
  if (text === undefined) throw refused('missing-field', path, 'has neither value nor text');
  checkLimit(limits, 'valueBytesMax', Buffer.byteLength(text), join(path, 'text'));
  checkWellFormed(text, join(path, 'text'));
  return { ...key, payload: Buffer.from(text) };
}
