/**
 * One walk through the versions of a key, newest first, for all puts of a batch that may have stored some of them.
 *
 * A chain can be long and each of its versions costs a read, so it is walked once for the batch, and no further than
 * needed: until all are found, until the versions are older than the puts, or until the walk is not wanted any more.
 */
import { codeOf, messageOf } from '../base/errors.ts';
import type { Cursor } from '../freezer/cursor.ts';
import type { Freezer } from '../freezer/freezer.ts';
import type { Envelope } from './envelope.ts';
import type { PresentRecord, SeenVersions } from './put-plan.ts';
import { type PutRecord, type PutRequest, placeOf } from './put-request.ts';
import { ShardError } from './shard-error.ts';

/** By so much the clocks of a producer and of the worker may differ before a put counts as older than it is. */
const clockSkewMaxMs = 25 * 3_600_000;

export class KeyWalk {
  readonly #record: PutRecord;
  readonly #open = new Set<string>();
  readonly #found = new Map<string, Cursor>();
  #notBeforeMs = Number.POSITIVE_INFINITY;
  #newest: PresentRecord | undefined;
  #keepsNewest = false;
  #failure: Error | undefined;

  /** Any record of the key. */
  constructor(record: PutRecord) {
    this.#record = record;
  }

  /** Looks for this record of the put, too. A put cannot be newer than `nowMs`, whatever its producer's clock says. */
  expect(request: PutRequest, index: number, nowMs: number): void {
    const createdAtMs = Math.min(request.createdAtMs ?? Number.NEGATIVE_INFINITY, nowMs);
    this.#notBeforeMs = Math.min(this.#notBeforeMs, createdAtMs - clockSkewMaxMs);
    this.#keepsNewest ||= request.ifExists !== 'append';
    this.#open.add(nameOf(request.putId, placeOf(request, index)));
  }

  /** Walks; ends early when `mayGoOn` says no, and then what was not found is refused as `closing`. Never rejects. */
  async run(freezer: Freezer<Envelope>, mayGoOn: () => boolean): Promise<void> {
    try {
      for await (const { value, cursor } of freezer.versions(this.#record.storedKey)) {
        this.#meet(value, cursor);
        if (this.#open.size === 0 || value.archivedAtMs < this.#notBeforeMs) return;
        if (!mayGoOn()) throw closing();
      }
    } catch (error) {
      this.#failure = error instanceof ShardError ? error : unreadable(error);
    }
  }

  /** What the walk says about this record of the put. */
  sightOf(request: PutRequest, index: number): SeenVersions | Error {
    const own = this.#found.get(nameOf(request.putId, placeOf(request, index)));
    if (own === undefined && this.#failure !== undefined) return this.#failure;
    return { own, newest: this.#newest };
  }

  #meet(value: Envelope, cursor: Cursor): void {
    const other = otherKey(value, this.#record);
    if (other !== undefined) throw other;
    if (this.#keepsNewest) this.#newest ??= { cursor, payload: value.payload };
    const name = nameOf(value.putId, value.recordIndex);
    if (this.#open.delete(name)) this.#found.set(name, cursor);
  }
}

function nameOf(putId: string, recordIndex: number): string {
  return `${recordIndex} ${putId}`;
}

export function otherKey(found: Envelope, record: PutRecord): ShardError | undefined {
  if (found.key === record.key) return undefined;
  return new ShardError('corrupt-chain', 'a record that is filed under the key of this put has another key');
}

/** Damage is the put's end; anything else, as a disk that does not answer, may pass. */
export function unreadable(error: unknown): Error {
  if (codeOf(error) !== 'corruption' && error instanceof Error) return error;
  return new ShardError('corrupt-chain', `the versions of a key cannot be read: ${messageOf(error)}`, { cause: error });
}

function closing(): ShardError {
  return new ShardError('closing', 'the shard is closed before it is known what the put stored', { retriable: true });
}
