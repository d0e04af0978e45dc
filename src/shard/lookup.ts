/**
 * Lookups: one answer for each question, from committed state only.
 *
 * A record that was appended but is not committed may still be lost, so a lookup that meets one waits until a commit
 * covers it and then answers with it; on an instance that cannot commit any more it walks on to the newest version that
 * is committed. So what was answered once is never gone later.
 *
 * While another instance is opened on the same files, the one in use may read bytes that are being rewritten: what it
 * reports as damaged then is asked again when that is over. An answer that was read while the instance was replaced is
 * thrown away and read again.
 */
import { unreachable } from '../base/assert.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import { CodecError } from '../codec/codec-error.ts';
import { type Cursor, decodeCursor, encodeCursor } from '../freezer/cursor.ts';
import type { Identifier, Lookup } from '../freezer/lookup.ts';
import { archiveKey } from './engine-settings.ts';
import type { Envelope } from './envelope.ts';
import { liesBelow } from './pending-put.ts';
import { ShardError } from './shard-error.ts';
import type { Store } from './store.ts';
import type { StoreSeat } from './store-seat.ts';

export type Question =
  | { readonly key: string; readonly storedKey: Buffer }
  /** The 20 bytes of a cursor. */
  | { readonly cursor: Buffer };

export type Answer =
  | FoundRecord
  | { readonly kind: 'missing' }
  /** Bytes on disk are not what was written. */
  | { readonly kind: 'corrupt'; readonly error: Error }
  /** The cursor names no record of this shard. */
  | { readonly kind: 'invalid'; readonly error: Error }
  /** It cannot be told now. */
  | { readonly kind: 'unavailable'; readonly error: Error };

export interface FoundRecord {
  readonly kind: 'found';
  /** The 20 bytes of the cursor. */
  readonly cursor: Buffer;
  readonly key: string;
  readonly payload: Uint8Array;
  readonly archivedAtMs: number;
  readonly putId: string;
  readonly recordIndex: number;
}

/** What else happens to the files of the instance in the seat. */
export interface SeatState {
  /** Counts the beginnings and ends of attempts to open another instance: odd while one runs. */
  readonly disturbances: number;
  /** Such an attempt began since the instance in the seat failed. */
  readonly disturbed: boolean;
  /** Settles when the attempt that runs is over; at once when none does. */
  attemptOver(): Promise<void>;
  /** Settles when another instance has taken the seat, or none ever will. */
  recovered(): Promise<void>;
  /** No instance will ever answer again. */
  readonly closed: boolean;
}

/** An answer, or that it must be waited for. */
type Reply = Answer | Uncommitted | 'again';

interface Uncommitted {
  readonly kind: 'uncommitted';
  readonly store: Store;
  readonly answer: FoundRecord;
  readonly at: Cursor;
}

export class LookupDesk {
  readonly #seat: StoreSeat;
  readonly #state: SeatState;

  constructor(seat: StoreSeat, state: SeatState) {
    this.#seat = seat;
    this.#state = state;
  }

  /** One answer each, in the order of the questions. Never rejects for what is wrong with one of them. */
  async lookupMany(questions: readonly Question[]): Promise<readonly Answer[]> {
    const answers: (Answer | undefined)[] = questions.map(() => undefined);
    for (let open = questions.map((_, index) => index); open.length > 0; ) {
      if (this.#state.closed) return answers.map((answer) => answer ?? closedAnswer());
      if (this.#isUntrusted(this.#seat.current)) await this.#state.recovered();
      open = await this.#ask(questions, open, answers);
    }
    return answers.map((answer) => answer ?? closedAnswer());
  }

  /** Answers what it can of the open questions; gives the rest. */
  async #ask(
    questions: readonly Question[],
    open: readonly number[],
    answers: (Answer | undefined)[],
  ): Promise<number[]> {
    const asked = open.length === questions.length ? questions : open.flatMap((index) => questions[index] ?? []);
    const replies = await this.#replies(asked);
    const again: number[] = [];
    for (const [at, index] of open.entries()) {
      const reply = replies[at];
      if (reply === undefined || reply === 'again') again.push(index);
      else if (reply.kind !== 'uncommitted') answers[index] = reply;
      else if (await this.#committed(reply)) answers[index] = reply.answer;
      else again.push(index);
    }
    return again;
  }

  async #replies(asked: readonly Question[]): Promise<readonly Reply[]> {
    const before = this.#state.disturbances;
    const { store, replies } = await this.#seat.read(async (used) => ({
      store: used,
      replies: await this.#read(used, asked),
    }));
    if (store !== this.#seat.current || this.#isUntrusted(store)) return asked.map(() => 'again');
    const disturbed = before % 2 === 1 || before !== this.#state.disturbances;
    if (!disturbed || !replies.some(isFailure)) return replies;
    await this.#state.attemptOver();
    return replies.map((reply) => (isFailure(reply) ? 'again' : reply));
  }

  /** Whether the table may be taken back under it. */
  #isUntrusted(store: Store): boolean {
    return store.syncFailed && this.#state.disturbed;
  }

  async #read(store: Store, asked: readonly Question[]): Promise<readonly Reply[]> {
    const replies: (Reply | undefined)[] = [];
    const identifiers: Identifier[] = [];
    const places: number[] = [];
    for (const [index, question] of asked.entries()) {
      const identifier = identifierOf(question, store);
      if (identifier instanceof Error) replies[index] = { kind: 'invalid', error: identifier };
      else {
        places.push(index);
        identifiers.push(identifier);
      }
    }
    const found = await store.freezer.lookupMany(identifiers);
    for (const [at, index] of places.entries()) {
      const question = asked[index];
      const lookup = found[at];
      if (question === undefined || lookup === undefined) continue;
      const reply = replyOf(store, question, lookup);
      // Most need nothing more: a promise each would cost more than the answer.
      replies[index] = reply instanceof Promise ? await reply : reply;
    }
    return asked.map((_, index) => replies[index] ?? 'again');
  }

  /** Waits until the record is committed; false when its instance was given up before. */
  async #committed({ store, at }: Uncommitted): Promise<boolean> {
    for (;;) {
      const { raised } = this.#seat.moved;
      if (liesBelow(at, store.freezer.committed)) return true;
      if (store.freezer.poisoned !== undefined || store !== this.#seat.current || this.#state.closed) return false;
      await raised;
    }
  }
}

function replyOf(store: Store, question: Question, lookup: Lookup<Envelope>): Reply | Promise<Reply> {
  switch (lookup.kind) {
    case 'missing':
      return lookup;
    case 'failed':
      return 'cursor' in question ? failedCursor(store, question.cursor, lookup.error) : failed(lookup.error);
    case 'found':
      break;
    default:
      return unreachable(lookup);
  }
  const answer = foundRecord(lookup.value, lookup.cursor);
  if ('cursor' in question) return cursorAnswer(store, answer, lookup.cursor);
  if (answer.key !== question.key) return { kind: 'corrupt', error: otherKey(lookup.cursor) };
  if (liesBelow(lookup.cursor, store.freezer.committed)) return answer;
  if (store.freezer.poisoned !== undefined) return newestCommitted(store, question);
  return { kind: 'uncommitted', store, answer, at: lookup.cursor };
}

function identifierOf(question: Question, store: Store): Identifier | Error {
  if ('key' in question) return { key: question.storedKey };
  try {
    const cursor = decodeCursor(question.cursor);
    // Nobody was ever given the cursor of a record that is not committed.
    if (liesBelow(cursor, store.freezer.committed)) return { cursor };
    return invalidCursor('it lies beyond the last commit');
  } catch (error) {
    if (error instanceof CodecError) return invalidCursor(error.message);
    throw error;
  }
}

/**
 * A cursor names a record only if the key index has one exactly there: any other run of bytes with a matching checksum,
 * as one inside of a payload, is no record. One that is filed under another key than its value says is damaged: the
 * value lies in the wrong place.
 */
async function cursorAnswer(store: Store, answer: FoundRecord, cursor: Cursor): Promise<Answer> {
  const named = archiveKey(answer.key);
  try {
    const key = await store.freezer.keyAt(cursor).catch(() => keyOnChain(store, named, cursor));
    if (key === undefined) return { kind: 'invalid', error: invalidCursor('no record is there') };
    return key.equals(named) ? answer : { kind: 'corrupt', error: otherKey(cursor) };
  } catch (error) {
    return failed(error);
  }
}

/** The other way to a record, where a damaged page of the key index bars the first. */
async function keyOnChain(store: Store, key: Buffer, cursor: Cursor): Promise<Buffer | undefined> {
  for await (const { cursor: found } of store.freezer.versions(key)) {
    if (encodeCursor(found).equals(encodeCursor(cursor))) return key;
  }
  return undefined;
}

/** Bytes that cannot be read are damage where a record is, and nothing where none is. */
async function failedCursor(store: Store, bytes: Buffer, error: Error): Promise<Answer> {
  const answer = failed(error);
  try {
    const isRecord = answer.kind === 'unavailable' || (await store.freezer.keyAt(decodeCursor(bytes))) !== undefined;
    return isRecord ? answer : { kind: 'invalid', error: invalidCursor('no record is there') };
  } catch {
    return answer;
  }
}

async function newestCommitted(
  store: Store,
  question: { readonly key: string; readonly storedKey: Buffer },
): Promise<Answer> {
  try {
    for await (const { value, cursor } of store.freezer.versions(question.storedKey)) {
      if (!liesBelow(cursor, store.freezer.committed)) continue;
      return value.key === question.key ? foundRecord(value, cursor) : { kind: 'corrupt', error: otherKey(cursor) };
    }
    return { kind: 'missing' };
  } catch (error) {
    return failed(error);
  }
}

function foundRecord({ key, payload, archivedAtMs, putId, recordIndex }: Envelope, cursor: Cursor): FoundRecord {
  return { kind: 'found', cursor: encodeCursor(cursor), key, payload, archivedAtMs, putId, recordIndex };
}

/** What it means that a read failed. A disk that did not answer may answer later; anything else is damage. */
function failed(error: unknown): Answer {
  const failure = error instanceof Error ? error : new ShardError('damaged', messageOf(error));
  switch (codeOf(error)) {
    case 'disk-failed':
    case 'disk-full':
    case 'closed':
      return { kind: 'unavailable', error: failure };
    default:
      return { kind: 'corrupt', error: failure };
  }
}

function isFailure(reply: Reply): boolean {
  if (reply === 'again') return false;
  return reply.kind === 'corrupt' || reply.kind === 'unavailable' || reply.kind === 'invalid';
}

function invalidCursor(why: string): ShardError {
  return new ShardError('invalid-request', `the cursor names no record of this shard: ${why}`);
}

function otherKey(cursor: Cursor): ShardError {
  return new ShardError('damaged', 'the value that was found is of another key than the record', {
    details: { section: cursor.section, offset: cursor.offset, size: cursor.size },
  });
}

function closedAnswer(): Answer {
  return { kind: 'unavailable', error: new ShardError('closing', 'the shard is closed', { retriable: true }) };
}
