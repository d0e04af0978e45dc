import { type CursorText, parseCursor } from './cursor-text.ts';
import {
  protocolVersion,
  readMessage,
  readOptionalArray,
  readOptionalBoolean,
  readOptionalCount,
  refused,
} from './fields.ts';
import { checkLimit, type ProtocolLimits } from './limits.ts';
import { type RecordKey, readKey } from './record-key.ts';
import { encodeReplyTo, type ReplyTo, type ReplyToWire, readId, readReplyTo } from './reply-address.ts';

/** How long a lookup without a `deadline` is worth answering, counted from the job's own time stamp. */
export const lookupDeadlineMs = 30_000;

/** A cursor as it was asked for, and what it says. */
export interface LookupCursor extends CursorText {
  readonly text: string;
}

export interface LookupJob {
  readonly id: string;
  readonly replyTo: ReplyTo;
  /** Keys and cursors: at least one in all; both may repeat. */
  readonly keys: readonly RecordKey[];
  readonly cursors: readonly LookupCursor[];
  /** Whether the answer carries the values. */
  readonly values: boolean;
  /** Milliseconds since the Unix epoch. After it nothing is read any more: every result is `expired`. */
  readonly deadline: number | undefined;
}

export interface LookupWire {
  readonly v: 1;
  readonly id: string;
  readonly replyTo: ReplyToWire;
  readonly keys?: readonly string[];
  readonly cursors?: readonly string[];
  readonly values?: boolean;
  readonly deadline?: number;
}

/** The lookup job in a parsed message. Each way in which it can break the contract is a ProtocolError. */
export function decodeLookupJob(value: unknown, limits: ProtocolLimits): LookupJob {
  const message = readMessage(value);
  const id = readId(message, limits);
  const replyTo = readReplyTo(message);
  if (id === undefined) throw refused('missing-field', 'id', 'missing');
  if (replyTo === undefined) throw refused('missing-field', 'replyTo', 'missing');
  const keys = readOptionalArray(message, 'keys', '') ?? [];
  const cursors = readOptionalArray(message, 'cursors', '') ?? [];
  const values = readOptionalBoolean(message, 'values', '') ?? true;
  const deadline = readOptionalCount(message, 'deadline', '');
  checkLimit(limits, 'lookupCountMax', keys.length + cursors.length, 'keys and cursors');
  if (keys.length + cursors.length === 0) throw refused('missing-field', 'keys', 'neither a key nor a cursor');
  return {
    ...{ id, replyTo, values, deadline },
    keys: keys.map((key, index) => decodeKey(key, index, limits)),
    cursors: cursors.map(decodeCursor),
  };
}

/** The message of a lookup job. Leaves out what is default. */
export function encodeLookupJob(job: {
  readonly id: string;
  readonly replyTo: ReplyTo;
  readonly keys?: readonly string[] | undefined;
  readonly cursors?: readonly string[] | undefined;
  readonly values?: boolean | undefined;
  readonly deadline?: number | undefined;
}): LookupWire {
  return {
    v: protocolVersion,
    id: job.id,
    replyTo: encodeReplyTo(job.replyTo),
    ...(job.keys === undefined || job.keys.length === 0 ? {} : { keys: job.keys }),
    ...(job.cursors === undefined || job.cursors.length === 0 ? {} : { cursors: job.cursors }),
    ...(job.values === false ? { values: false } : {}),
    ...(job.deadline === undefined ? {} : { deadline: job.deadline }),
  };
}

function decodeKey(key: unknown, index: number, limits: ProtocolLimits): RecordKey {
  const field = `keys[${index}]`;
  if (typeof key !== 'string') throw refused('invalid-field', field, 'not a string');
  return readKey(key, field, limits);
}

function decodeCursor(text: unknown, index: number): LookupCursor {
  const cursor = parseCursor(text, `cursors[${index}]`);
  return { ...cursor, text: String(text) };
}
