/**
 * From keys to the places of their records: through the table, then along the chain of the key's bucket.
 *
 * A chain goes backwards at every step (H21). All keys of a chain have the bits in common that chose their bucket when
 * the table was smallest: a record of another key without them is damage, and is not followed, as what lies behind it may
 * be an older record of the key that is looked for.
 *
 * In memory a walk passes most records by their links (`record-links.ts`), as they are other keys'. What it does not pass it
 * looks at, so that all that is found or wrong is said by a record.
 *
 * Most stores have buckets and chains in memory, where a promise a key would cost more than its way through them. So there
 * are two ways: one that is done at once or not at all, and one that may wait for the disk.
 */
import { assert, present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { CodecError } from '../codec/codec-error.ts';
import { ShortChecksum } from '../codec/short-checksum.ts';
import type { KeyIndex, RecordPosition } from '../journal/key-index.ts';
import { hasLink, type LinkPlace, linkHash, linkPosition, linkSection } from '../journal/record-links.ts';
import type { RecordImage } from '../journal/section-pages.ts';
import { ChainReads } from './chain-reads.ts';
import type { Cursor } from './cursor.ts';
import {
  isBefore,
  isRecordOf,
  type KeyRecord,
  type Mutable,
  readCursor,
  readNext,
  readRecord,
  recordDamage,
} from './key-record.ts';
import type { Table } from './table.ts';

/** Where the value of a key's newest record is, or why that cannot be told; `undefined` when it has none. */
export type Located = Cursor | Error | undefined;

/** A record of a key. */
export interface Place {
  readonly cursor: Cursor;
  readonly position: RecordPosition;
}

/** The bucket or a record of the chain has to be read. */
export const onDisk = Symbol('on disk');
/** The chain goes on behind this record. */
const onward = Symbol('onward');

/** A key that is looked for, at a record of its chain: its place, and where in memory it is once that is known. */
interface Walk extends Mutable<RecordPosition>, RecordImage, LinkPlace {
  readonly index: number;
  readonly key: Uint8Array;
  readonly hash: number;
  /** Records read so far. */
  readCount: number;
}

const noBytes = Buffer.alloc(0);
const noLinks = new Uint32Array(0);

export class ChainSearch {
  readonly #table: Table;
  readonly #keys: KeyIndex;
  readonly #keySize: number;
  readonly #hashes: ShortChecksum;
  /** What is behind a record, until a walk goes there. */
  readonly #next = { section: 0, position: 0 };
  /** Records read on the way to another key's. */
  readonly unnecessaryReads = new Counter();
  readonly chainReads = new ChainReads();

  constructor(table: Table, keys: KeyIndex, keySize: number) {
    this.#table = table;
    this.#keys = keys;
    this.#keySize = keySize;
    this.#hashes = new ShortChecksum(keySize);
  }

  /** Place of the newest record of a key, when memory has all that it takes. */
  locateNow(key: Uint8Array): Located | typeof onDisk {
    const hash = this.#hashes.of(key, 0);
    const bucket = this.#table.bucketOf(hash);
    if (!this.#table.has(bucket)) return onDisk;
    const head = this.#table.head(bucket);
    if (head === undefined) return this.#settled(0, undefined);
    const walk = walkFrom(head, 0, key, hash);
    for (;;) {
      while (this.#keys.findLink(walk, walk) && this.#pass(walk));
      if (!this.#keys.peek(walk, walk)) return onDisk;
      const outcome = this.#take(walk);
      if (outcome !== onward) return outcome;
    }
  }

  /** As `locateNow` for each key, all by one record at a time. */
  locateManyNow(keys: readonly Uint8Array[]): readonly (Located | typeof onDisk)[] {
    const located: (Located | typeof onDisk)[] = new Array(keys.length).fill(onDisk);
    const walks: Walk[] = [];
    for (const [index, key] of keys.entries()) {
      const hash = this.#hashes.of(key, 0);
      const bucket = this.#table.bucketOf(hash);
      if (!this.#table.has(bucket)) continue;
      const head = this.#table.head(bucket);
      if (head === undefined) located[index] = this.#settled(0, undefined);
      else walks.push(walkFrom(head, index, key, hash));
    }
    this.#walkInMemory(walks, located);
    return located;
  }

  /** Place of the newest record of each key. */
  async locateMany(keys: readonly Uint8Array[]): Promise<readonly Located[]> {
    const located: Located[] = new Array(keys.length).fill(undefined);
    const hashes = keys.map((key) => this.#hashes.of(key, 0));
    const heads = await this.#table.heads(hashes);
    const walks: Walk[] = [];
    for (const [index, key] of keys.entries()) {
      const head = heads[index];
      const hash = present(hashes[index], 'a hash');
      if (head === undefined || head instanceof Error) located[index] = this.#settled(0, head);
      else walks.push(walkFrom(head, index, key, hash));
    }
    for (let open = this.#walkInMemory(walks, located); open.length > 0; ) {
      const records = await this.#keys.readMany(open);
      const further = open.filter((walk, at) => {
        const bytes = present(records[at], 'a record');
        if (bytes instanceof Error) {
          located[walk.index] = this.#settled(walk.readCount + 1, bytes);
          return false;
        }
        walk.bytes = bytes;
        walk.at = 0;
        return this.#takeOf(walk, located);
      });
      open = this.#walkInMemory(further, located);
    }
    return located;
  }

  /** The places of a key's records, newest first; what cannot be read is thrown. */
  async *places(key: Uint8Array): AsyncGenerator<Place> {
    const [head] = await this.#table.heads([this.#hashes.of(key, 0)]);
    if (head instanceof Error) throw head;
    let at: RecordPosition | undefined = head;
    while (at !== undefined) {
      const [bytes] = await this.#keys.readMany([at]);
      if (bytes instanceof Error) throw bytes;
      const record = this.#parse(at, present(bytes, 'a record'));
      if (record instanceof Error) throw record;
      const cursor = { section: at.section, offset: record.valueOffset, size: record.valueSize };
      if (record.key.equals(key)) yield { cursor, position: at };
      at = record.next;
    }
  }

  /** Takes walks past the records that are in memory, all by one record at a time; gives those that need the disk. */
  #walkInMemory(walks: readonly Walk[], located: (Located | typeof onDisk)[]): Walk[] {
    const paused: Walk[] = [];
    for (let open = walks; open.length > 0; ) {
      this.#passTogether(open);
      const here: Walk[] = [];
      for (const walk of open) (this.#keys.peek(walk, walk) ? here : paused).push(walk);
      touchRecords(here, this.#keys.recordSize);
      open = here.filter((walk) => this.#takeOf(walk, located));
    }
    return paused;
  }

  /** Takes walks as far as links go, all by one record at a time. */
  #passTogether(walks: readonly Walk[]): void {
    for (let open = walks; open.length > 0; ) {
      const here: Walk[] = [];
      for (const walk of open) if (this.#keys.findLink(walk, walk)) here.push(walk);
      touchLinks(here);
      const further: Walk[] = [];
      for (const walk of here) if (this.#pass(walk)) further.push(walk);
      open = further;
    }
  }

  /** Takes a walk past a record in memory that is another key's by its link. False when the record has to be looked at. */
  #pass(walk: Walk): boolean {
    if (!hasLink(walk)) return false;
    const differing = linkHash(walk) ^ walk.hash;
    if (differing === 0 || (differing & (this.#table.initialSize - 1)) !== 0) return false;
    const next = this.#next;
    next.section = linkSection(walk);
    next.position = linkPosition(walk);
    if (!isBefore(next, walk)) return false;
    walk.readCount++;
    walk.section = next.section;
    walk.position = next.position;
    return true;
  }

  /** As `#take`, for one of many. Whether the walk goes on. */
  #takeOf(walk: Walk, located: (Located | typeof onDisk)[]): boolean {
    const outcome = this.#take(walk);
    if (outcome !== onward) located[walk.index] = outcome;
    return outcome === onward;
  }

  /** Takes a walk past its next record, which is in memory. */
  #take(walk: Walk): Located | typeof onward {
    walk.readCount++;
    const outcome = this.#visit(walk);
    return outcome === onward ? onward : this.#settled(walk.readCount, outcome);
  }

  #settled(readCount: number, outcome: Located): Located {
    this.chainReads.add(readCount);
    this.unnecessaryReads.add(outcome === undefined || readCount === 0 ? readCount : readCount - 1);
    return outcome;
  }

  /** What a record says to a walk: where its key's value is, why that cannot be told, or that the chain goes on. */
  #visit(walk: Walk): Located | typeof onward {
    const next = this.#next;
    try {
      const goesOn = readNext(walk.bytes, walk.at, this.#keySize, next);
      if (goesOn && !isBefore(next, walk)) return this.#forwardDamage(walk, next);
      if (isRecordOf(walk.key, walk.bytes, walk.at))
        return readCursor(walk.bytes, walk.at, this.#keySize, walk.section);
      const stray = this.#strayDamage(walk);
      if (stray !== undefined || !goesOn) return stray;
    } catch (error) {
      return this.#fieldDamage(walk, error);
    }
    walk.section = next.section;
    walk.position = next.position;
    return onward;
  }

  /** Why a record of another key cannot be on the way to the one that is looked for. */
  #strayDamage(walk: Walk): Error | undefined {
    const mask = this.#table.initialSize - 1;
    const found = this.#hashes.of(walk.bytes, walk.at);
    if (((found ^ walk.hash) & mask) === 0) return undefined;
    return recordDamage(this.#fileOf(walk), walk.position, 'a key of its chain', 'a key of another one');
  }

  /** A record whose chain goes backwards, or the error that says why it is none. */
  #parse(at: RecordPosition, bytes: Buffer): KeyRecord | Error {
    try {
      const record = readRecord(bytes, 0, this.#keySize);
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

function walkFrom(head: RecordPosition, index: number, key: Uint8Array, hash: number): Walk {
  const { section, position } = head;
  return { index, key, hash, section, position, readCount: 0, bytes: noBytes, at: 0, links: noLinks, link: 0 };
}

/**
 * Loads what will be looked at one by one. Places that follow each other's content wait for the memory one after the
 * other; these are independent, so that the processor asks for many at a time: a third of what a warm lookup costs.
 */
function touchLinks(places: readonly LinkPlace[]): void {
  let sum = 0;
  for (const place of places) sum += linkHash(place);
  assert(sum >= 0, 'checksums are not negative');
}

/** As `touchLinks`, for the records themselves. */
function touchRecords(images: readonly RecordImage[], size: number): void {
  let sum = 0;
  for (const { bytes, at } of images) sum += (bytes[at] ?? 0) + (bytes[at + size - 1] ?? 0);
  assert(sum >= 0, 'bytes are not negative');
}
