import { assert } from '../base/assert.ts';
import { type Cursor, encodeCursor } from '../freezer/cursor.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { envelopeHeadSize, keyBytesLimit, putIdBytesMax } from './envelope.ts';
import type { RecordPlan } from './put-plan.ts';
import type { PutOutcome, PutRecordResult, PutRequest, PutResult } from './put-request.ts';
import { ShardError } from './shard-error.ts';

/** Largest payload that the engine's files can take, with much room to spare. */
export const payloadBytesLimit = 512 * 1024 * 1024;

/**
 * A put from its arrival until it is durable or refused.
 *
 * States: waiting → appended (has plans) → settled; appended → waiting again, as redelivered, when the instance that
 * it was appended to was given up.
 */
export class PendingPut {
  readonly request: PutRequest;
  /** Bytes that it holds in memory, about. */
  readonly bytes: number;
  readonly arrivedAtMs: number;
  readonly result: Promise<PutResult>;
  readonly #resolve: (result: PutResult) => void;
  readonly #reject: (error: Error) => void;
  #plans: readonly RecordPlan[] | undefined;
  /** Of the records that its outcome rests on, the one that lies last. */
  #last: Cursor | undefined;
  #repeated = false;

  constructor(request: PutRequest, arrivedAtMs: number) {
    const { promise, resolve, reject } = Promise.withResolvers<PutResult>();
    this.request = request;
    this.bytes = request.records.reduce(
      (sum, { key, payload }) => sum + envelopeHeadSize + key.length + payload.length,
      0,
    );
    this.arrivedAtMs = arrivedAtMs;
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get recordCount(): number {
    return this.request.records.length;
  }

  /** The request as it must be decided now. */
  get current(): PutRequest {
    return this.#repeated ? { ...this.request, redelivered: true } : this.request;
  }

  appended(plans: readonly RecordPlan[]): void {
    this.#plans = plans;
  }

  /** Back to waiting: what was appended of it may or may not be found again. */
  repeat(): void {
    this.#plans = undefined;
    this.#last = undefined;
    this.#repeated = true;
  }

  /** Whether all records that its outcome rests on lie below `committed`. */
  isCovered(committed: JournalEnd): boolean {
    this.#last ??= lastOf(this.#planned());
    return liesBelow(this.#last, committed);
  }

  settle(commit: number): void {
    const records = this.#planned().map(({ outcome, on }) => new DurableRecord(outcome, cursorOf(on)));
    this.#resolve({ commit, records });
  }

  refuse(error: Error): void {
    this.#reject(error);
  }

  #planned(): readonly RecordPlan[] {
    assert(this.#plans !== undefined, 'the put was appended');
    return this.#plans;
  }
}

/** A record of a put that is durable. Its cursor is encoded when somebody wants it: most puts ask for no receipt. */
class DurableRecord implements PutRecordResult {
  readonly outcome: PutOutcome;
  readonly #at: Cursor;

  constructor(outcome: PutOutcome, at: Cursor) {
    this.outcome = outcome;
    this.#at = at;
  }

  get cursor(): Buffer {
    return encodeCursor(this.#at);
  }
}

function lastOf(plans: readonly RecordPlan[]): Cursor {
  let last: Cursor | undefined;
  for (const { on } of plans) {
    const cursor = cursorOf(on);
    if (last === undefined || isBehind(cursor, last)) last = cursor;
  }
  assert(last !== undefined, 'a put has a record');
  return last;
}

function cursorOf({ cursor }: RecordPlan['on']): Cursor {
  assert(cursor !== undefined, 'a staged record was appended');
  return cursor;
}

/** Whether a record lies wholly below an end of the journals. */
export function liesBelow(cursor: Cursor, end: JournalEnd): boolean {
  if (cursor.section !== end.section) return cursor.section < end.section;
  return cursor.offset + cursor.size <= end.valueBytes;
}

function isBehind(cursor: Cursor, other: Cursor): boolean {
  return cursor.section > other.section || (cursor.section === other.section && cursor.offset > other.offset);
}

/** Refuses what can never be stored. */
export function checkRequest(request: PutRequest, recordsMax: number): void {
  const { putId, records, places } = request;
  limit('putId bytes', Buffer.byteLength(putId), putIdBytesMax);
  limit('records', records.length, recordsMax);
  if (records.length === 0) throw new ShardError('invalid-request', 'a put without records');
  if (places !== undefined && !areOf(records, places))
    throw new ShardError('invalid-request', 'the places of a put are not one a record, and rising');
  for (const [index, { key, payload }] of records.entries()) {
    if (!key.isWellFormed()) throw new ShardError('invalid-request', `record ${index}: the key has no UTF-8 form`);
    limit('key bytes', Buffer.byteLength(key), keyBytesLimit, index);
    limit('payload bytes', payload.length, payloadBytesLimit, index);
  }
}

function areOf(records: PutRequest['records'], places: readonly number[]): boolean {
  return places.length === records.length && places.every((place, at) => place > (places[at - 1] ?? -1));
}

function limit(name: string, found: number, max: number, record?: number): void {
  if (found <= max) return;
  const where = record === undefined ? '' : `record ${record}: `;
  throw new ShardError('limit-exceeded', `${where}${found} ${name}, at most ${max}`, {
    details: { limit: name, found, max, record },
  });
}
