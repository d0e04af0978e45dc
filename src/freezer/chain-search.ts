/**
 * From keys to the places of their records: through the table, then along the chain of the key's bucket.
 *
 * A chain goes backwards at every step (H21). All keys of a chain have the bits in common that chose their bucket when
 * the table was smallest, so that one which was left by a wrong step never ends with a record of its own: a key is missing
 * only when the last record of its chain is one that belongs there.
 *
 * Most stores have buckets and chains in memory, where a promise a key would cost more than its way through them. So there
 * are two ways: one that is done at once or not at all, and one that may wait for the disk.
 */
import { assert, present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { CodecError } from '../codec/codec-error.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { KeyIndex, RecordPosition } from '../journal/key-index.ts';
import type { RecordImage } from '../journal/section-pages.ts';
import { ChainReads } from './chain-reads.ts';
import type { Cursor } from './cursor.ts';
import { isBefore, isRecordOf, type RecordTail, readNext, readRecordTail, recordDamage } from './key-record.ts';
import type { Table } from './table.ts';

/** Where a key's newest record is, or why that cannot be told; `undefined` when it has none. */
export type Located = { readonly cursor: Cursor } | Error | undefined;

/** A record of a key. */
export interface Place {
  readonly cursor: Cursor;
  readonly position: RecordPosition;
}

/** The bucket or a record of the chain has to be read. */
export const onDisk = Symbol('on disk');
/** The chain goes on behind this record. */
const onward = Symbol('onward');

/** A key that is looked for, at a record of its chain. */
interface Walk {
  readonly index: number;
  readonly key: Uint8Array;
  readonly hash: number;
  at: RecordPosition;
  /** Records read so far. */
  readCount: number;
}

export class ChainSearch {
  readonly #table: Table;
  readonly #keys: KeyIndex;
  readonly #keySize: number;
  /** Records read on the way to another key's. */
  readonly unnecessaryReads = new Counter();
  readonly chainReads = new ChainReads();

  constructor(table: Table, keys: KeyIndex, keySize: number) {
    this.#table = table;
    this.#keys = keys;
    this.#keySize = keySize;
  }

  /** Place of the newest record of a key, when memory has all that it takes. */
  locateNow(key: Uint8Array): Located | typeof onDisk {
    const hash = crc32c(key);
    const bucket = this.#table.bucketOf(hash);
    if (!this.#table.has(bucket)) return onDisk;
    const head = this.#table.head(bucket);
    if (head === undefined) return this.#settled(0, undefined);
    const walk: Walk = { index: 0, key, hash, at: head, readCount: 0 };
    for (;;) {
      const image = this.#keys.peek(walk.at);
      if (image === undefined) return onDisk;
      const outcome = this.#take(walk, image);
      if (outcome !== onward) return outcome;
    }
  }

  /** As `locateNow` for each key, all by one record at a time. */
  locateManyNow(keys: readonly Uint8Array[]): readonly (Located | typeof onDisk)[] {
    const located: (Located | typeof onDisk)[] = new Array(keys.length).fill(onDisk);
    const walks: Walk[] = [];
    for (const [index, key] of keys.entries()) {
      const hash = crc32c(key);
      const bucket = this.#table.bucketOf(hash);
      if (!this.#table.has(bucket)) continue;
      const head = this.#table.head(bucket);
      if (head === undefined) located[index] = this.#settled(0, undefined);
      else walks.push({ index, key, hash, at: head, readCount: 0 });
    }
    this.#walkInMemory(walks, located);
    return located;
  }

  /** Place of the newest record of each key. */
  async locateMany(keys: readonly Uint8Array[]): Promise<readonly Located[]> {
    const located: Located[] = new Array(keys.length).fill(undefined);
    const hashes = keys.map((key) => crc32c(key));
    const heads = await this.#table.heads(hashes);
    const walks: Walk[] = [];
    for (const [index, key] of keys.entries()) {
      const head = heads[index];
      const hash = present(hashes[index], 'a hash');
      if (head === undefined || head instanceof Error) located[index] = this.#settled(0, head);
      else walks.push({ index, key, hash, at: head, readCount: 0 });
    }
    for (let open = this.#walkInMemory(walks, located); open.length > 0; ) {
      const records = await this.#keys.readMany(open.map((walk) => walk.at));
      const further = open.filter((walk, at) => {
        const bytes = present(records[at], 'a record');
        const outcome = this.#take(walk, bytes instanceof Error ? bytes : { bytes, at: 0 });
        if (outcome !== onward) located[walk.index] = outcome;
        return outcome === onward;
      });
      open = this.#walkInMemory(further, located);
    }
    return located;
  }

  /** The places of a key's records, newest first; what cannot be read is thrown. */
  async *places(key: Uint8Array): AsyncGenerator<Place> {
    const [head] = await this.#table.heads([crc32c(key)]);
    if (head instanceof Error) throw head;
    let at: RecordPosition | undefined = head;
    while (at !== undefined) {
      const [bytes] = await this.#keys.readMany([at]);
      if (bytes instanceof Error) throw bytes;
      const image = { bytes: present(bytes, 'a record'), at: 0 };
      const record = this.#parse(at, image);
      if (record instanceof Error) throw record;
      if (isRecordOf(key, image.bytes, image.at)) yield { cursor: cursorOf(at, record), position: at };
      at = record.next;
    }
  }

  /** Takes walks past the records that are in memory, all by one record at a time; gives those that need the disk. */
  #walkInMemory(walks: readonly Walk[], located: (Located | typeof onDisk)[]): Walk[] {
    const paused: Walk[] = [];
    for (let open = walks; open.length > 0; ) {
      const images = open.map(({ at }) => this.#keys.peek(at));
      touchAll(images, this.#keys.recordSize);
      const further: Walk[] = [];
      for (const [at, walk] of open.entries()) {
        const image = images[at];
        const outcome = image === undefined ? onDisk : this.#take(walk, image);
        if (outcome === onDisk) paused.push(walk);
        else if (outcome === onward) further.push(walk);
        else located[walk.index] = outcome;
      }
      open = further;
    }
    return paused;
  }

  /** Takes a walk past its next record. */
  #take(walk: Walk, image: RecordImage | Error): Located | typeof onward {
    walk.readCount++;
    const outcome = image instanceof Error ? image : this.#visit(walk, image);
    return outcome === onward ? onward : this.#settled(walk.readCount, outcome);
  }

  #settled(readCount: number, outcome: Located): Located {
    this.chainReads.add(readCount);
    this.unnecessaryReads.add(outcome === undefined || readCount === 0 ? readCount : readCount - 1);
    return outcome;
  }

  /** What a record says to a walk: where its key's value is, why that cannot be told, or that the chain goes on. */
  #visit(walk: Walk, image: RecordImage): Located | typeof onward {
    if (isRecordOf(walk.key, image.bytes, image.at)) {
      const record = this.#parse(walk.at, image);
      return record instanceof Error ? record : { cursor: cursorOf(walk.at, record) };
    }
    try {
      const next = readNext(image.bytes, image.at, this.#keySize);
      if (next === undefined) return this.#strayDamage(walk, image);
      if (!isBefore(next, walk.at)) return this.#forwardDamage(walk.at, next);
      walk.at = next;
      return onward;
    } catch (error) {
      return this.#fieldDamage(walk.at, error);
    }
  }

  /** Why the last record of a chain cannot be that of the key's. */
  #strayDamage({ at, hash }: Walk, image: RecordImage): Error | undefined {
    const mask = this.#table.initialSize - 1;
    const found = crc32c(image.bytes.subarray(image.at, image.at + this.#keySize));
    if (((found ^ hash) & mask) === 0) return undefined;
    return recordDamage(this.#fileOf(at), at.position, 'a key of its chain', 'a key of another one');
  }

  /** A record whose chain goes backwards, or the error that says why it is none. */
  #parse(at: RecordPosition, image: RecordImage): RecordTail | Error {
    try {
      const record = readRecordTail(image.bytes, image.at, this.#keySize);
      if (record.next === undefined || isBefore(record.next, at)) return record;
      return this.#forwardDamage(at, record.next);
    } catch (error) {
      return this.#fieldDamage(at, error);
    }
  }

  #forwardDamage(at: RecordPosition, next: RecordPosition): Error {
    return recordDamage(this.#fileOf(at), at.position, 'a next record before it', `${next.section}/${next.position}`);
  }

  #fieldDamage(at: RecordPosition, error: unknown): Error {
    if (!(error instanceof CodecError)) throw error;
    return recordDamage(this.#fileOf(at), at.position, 'fields below 2^53', error.message);
  }

  #fileOf({ section }: RecordPosition): string {
    return this.#keys.blobs.path(section);
  }
}

/**
 * Loads what will be looked at one by one. Places that follow each other's content wait for the memory one after the
 * other; these are independent, so that the processor asks for many at a time: a third of what a warm lookup costs.
 */
function touchAll(images: readonly (RecordImage | undefined)[], size: number): void {
  let sum = 0;
  for (const image of images) {
    if (image !== undefined) sum += (image.bytes[image.at] ?? 0) + (image.bytes[image.at + size - 1] ?? 0);
  }
  assert(sum >= 0, 'bytes are not negative');
}

function cursorOf({ section }: RecordPosition, { valueOffset, valueSize }: RecordTail): Cursor {
  return { section, offset: valueOffset, size: valueSize };
}
