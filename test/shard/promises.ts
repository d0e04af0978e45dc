/**
 * What a shard owes by what happened so far: every record that a put resolved on or a lookup returned stays, at its
 * cursor, with its key and text; a key never goes back to an older version; nothing is there that nobody put.
 */
import assert from 'node:assert/strict';
import { type Cursor, decodeCursor } from '../../src/freezer/cursor.ts';
import { archiveKey } from '../../src/shard/engine-settings.ts';
import type { Answer, FoundRecord } from '../../src/shard/lookup.ts';
import type { PutRequest, PutResult } from '../../src/shard/put-request.ts';
import type { Shard } from '../../src/shard/shard.ts';
import { compareCursors } from './cursor-order.ts';

export type ShardEvent =
  | { readonly kind: 'attempted'; readonly request: PutRequest }
  | { readonly kind: 'resolved'; readonly request: PutRequest; readonly result: PutResult }
  | { readonly kind: 'refused'; readonly request: PutRequest }
  | { readonly kind: 'seen'; readonly record: FoundRecord };

interface Promised {
  readonly cursor: Buffer;
  readonly key: string;
  /** Undefined when the promise is only that there is a record. */
  text: string | undefined;
}

export class Promises {
  readonly #records = new Map<string, Promised>();
  /** Of each key the newest version that is promised. */
  readonly #newest = new Map<string, Cursor>();
  /** Key and text of every record that somebody tried to put. */
  readonly #attempted = new Map<string, string>();

  constructor(events: readonly ShardEvent[]) {
    for (const event of events) this.note(event);
  }

  note(event: ShardEvent): void {
    switch (event.kind) {
      case 'attempted':
        for (const [index, { key, payload }] of event.request.records.entries()) {
          this.#attempted.set(`${event.request.putId}/${index}`, `${key}=${payload.toString()}`);
        }
        return;
      case 'resolved':
        for (const [index, { key, payload }] of event.request.records.entries()) {
          const record = event.result.records[index];
          assert.ok(record !== undefined, 'one outcome a record');
          this.#promise(record.cursor, key, record.outcome === 'kept' ? undefined : payload.toString());
        }
        return;
      case 'seen':
        this.#promise(event.record.cursor, event.record.key, Buffer.from(event.record.payload).toString());
        return;
      case 'refused':
        return;
    }
  }

  get keys(): readonly string[] {
    return [...this.#newest.keys()];
  }

  get cursors(): readonly Buffer[] {
    return [...this.#records.values()].map(({ cursor }) => cursor);
  }

  isKnown(cursor: Buffer): boolean {
    return this.#records.get(cursor.toString('hex'))?.text !== undefined;
  }

  /** The newest version of a key that a lookup, which begins now, must not go behind. */
  newestOf(key: string): Cursor | undefined {
    return this.#newest.get(key);
  }

  /** Judges the answer to a lookup by key that began when `newest` was the newest version promised. */
  judgeKey(key: string, newest: Cursor | undefined, answer: Answer | undefined): void {
    if (newest === undefined && answer?.kind === 'missing') return;
    assert.equal(answer?.kind, 'found', `${key}: ${describe(answer)}`);
    assert.equal(answer.key, key);
    const found = decodeCursor(answer.cursor);
    const back = newest !== undefined && compareCursors(found, newest) < 0;
    assert.ok(!back, `${key} went back from ${JSON.stringify(newest)} to ${JSON.stringify(found)}`);
    this.#judgeRecord(answer);
  }

  /** Judges the answer to a lookup by a cursor that is promised. */
  judgeCursor(cursor: Buffer, answer: Answer | undefined): void {
    const hex = cursor.toString('hex');
    assert.equal(answer?.kind, 'found', `cursor ${hex} of ${this.#records.get(hex)?.key}: ${describe(answer)}`);
    assert.deepEqual(answer.cursor, cursor);
    this.#judgeRecord(answer);
  }

  /** Looks up all that is promised, then reads all records there are; gives the number of answers judged. */
  async judgeShard(shard: Shard): Promise<number> {
    const { keys, cursors } = this;
    const byCursor = await shard.lookupMany(cursors.map((cursor) => ({ cursor })));
    for (const [index, cursor] of cursors.entries()) this.judgeCursor(cursor, byCursor[index]);
    const byKey = await shard.lookupMany(keys.map(questionOf));
    for (const [index, key] of keys.entries()) this.judgeKey(key, this.newestOf(key), byKey[index]);
    return keys.length + cursors.length + (await this.#judgeAll(shard));
  }

  /** Every record in the archive was put, and none is there twice. */
  async #judgeAll(shard: Shard): Promise<number> {
    const seen = new Set<string>();
    for await (const { value } of shard.freezer.records()) {
      const name = `${value.putId}/${value.recordIndex}`;
      this.judgeWritten(name, value.key, value.payload);
      assert.ok(!seen.has(name), `${name} is stored twice`);
      seen.add(name);
    }
    return seen.size;
  }

  /** Judges what was found, if anything: it was put, under this key, and is what it was before. */
  judgeFound(answer: Answer | undefined): void {
    if (answer?.kind === 'found') this.#judgeRecord(answer);
  }

  /** A record with this name and content was put. */
  judgeWritten(name: string, key: string, payload: Uint8Array): void {
    assert.equal(`${key}=${Buffer.from(payload).toString()}`, this.#attempted.get(name), `${name} is invented`);
  }

  #judgeRecord(answer: FoundRecord): void {
    this.judgeWritten(`${answer.putId}/${answer.recordIndex}`, answer.key, answer.payload);
    const promised = this.#records.get(answer.cursor.toString('hex'));
    if (promised === undefined) return;
    assert.equal(answer.key, promised.key);
    if (promised.text !== undefined) assert.equal(Buffer.from(answer.payload).toString(), promised.text);
  }

  #promise(cursor: Buffer, key: string, text: string | undefined): void {
    const name = cursor.toString('hex');
    const present = this.#records.get(name);
    if (present === undefined) this.#records.set(name, { cursor, key, text });
    else {
      assert.equal(key, present.key, `cursor ${name} names two keys`);
      assert.ok(text === undefined || present.text === undefined || text === present.text, `${name} has two texts`);
      present.text ??= text;
    }
    const place = decodeCursor(cursor);
    const newest = this.#newest.get(key);
    if (newest === undefined || compareCursors(place, newest) > 0) this.#newest.set(key, place);
  }
}

export function questionOf(key: string): { readonly key: string; readonly storedKey: Buffer } {
  return { key, storedKey: archiveKey(key) };
}

function describe(answer: Answer | undefined): string {
  if (answer === undefined) return 'no answer';
  return 'error' in answer ? `${answer.kind}, ${answer.error.message}` : answer.kind;
}
