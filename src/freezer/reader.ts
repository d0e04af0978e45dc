/**
 * Reading: from a key through the table and its chain to the value, or from a cursor straight to it.
 *
 * Many identifiers take the same steps together, so that one list of reads serves all of them. A chain must go
 * backwards at every step (H21); what cannot be read is reported for the identifier that met it, never as missing.
 */
import { assert, present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { messageOf } from '../base/errors.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { CodecError } from '../codec/codec-error.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { Oversized } from '../journal/oversized.ts';
import type { RecordImage } from '../journal/section-pages.ts';
import { ChainReads } from './chain-reads.ts';
import type { Cursor } from './cursor.ts';
import type { FrameCoding } from './frame-coding.ts';
import { isBefore, isRecordOf, type RecordTail, readRecordTail, recordDamage } from './key-record.ts';
import type { Identifier, Lookup } from './lookup.ts';
import { LookupGroups } from './lookup-groups.ts';
import type { Table } from './table.ts';

export interface Version<V> {
  readonly value: V;
  readonly cursor: Cursor;
  readonly position: RecordPosition;
}

/** Where a key's newest record is, or why that cannot be told. */
type Located = { readonly cursor: Cursor } | Error | undefined;

/** A key that is looked for, and what its place becomes. */
interface Search {
  readonly index: number;
  readonly key: Uint8Array;
  readonly hash: number;
}

/** A search on its way along a chain. */
interface Walk {
  readonly search: Search;
  at: RecordPosition;
  /** Records read so far. */
  readCount: number;
}

interface Place {
  readonly cursor: Cursor;
  readonly position: RecordPosition;
}

const missing = { kind: 'missing' } as const;

/** Versions whose values are read together. */
const versionBatchMax = 64;

export class Reader<V> {
  readonly #table: Table;
  readonly #oversized: Oversized;
  readonly #coding: FrameCoding<V>;
  readonly #keySize: number;
  readonly #groups = new LookupGroups<V>((identifiers) => this.#lookupTogether(identifiers));
  /** Records read on the way to another key's. */
  readonly unnecessaryReads = new Counter();
  readonly chainReads = new ChainReads();

  constructor(table: Table, oversized: Oversized, coding: FrameCoding<V>, keySize: number) {
    this.#table = table;
    this.#oversized = oversized;
    this.#coding = coding;
    this.#keySize = keySize;
  }

  /** One outcome for each identifier, in their order. */
  lookupMany(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    return this.#groups.lookupMany(identifiers);
  }

  lookup(identifier: Identifier): Promise<Lookup<V>> {
    return this.#groups.lookup(identifier);
  }

  async #lookupTogether(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    const locating = this.#locateMany(identifiers);
    const located = locating instanceof Promise ? await locating : locating;
    const cursors = located.flatMap((place) => (place === undefined || place instanceof Error ? [] : [place.cursor]));
    const frames = await this.#oversized.values.readMany(cursors);
    let at = 0;
    const lookups = located.map((place): Promise<Lookup<V>> | Lookup<V> => {
      if (place === undefined) return missing;
      if (place instanceof Error) return { kind: 'failed', error: place };
      return this.#decoded(place.cursor, present(frames[at++], 'a frame'));
    });
    const settled: Lookup<V>[] = [];
    for (const lookup of lookups) settled.push(lookup instanceof Promise ? await lookup : lookup);
    return settled;
  }

  /** Place of the newest record of each key; `undefined` where there is none. */
  async locateMany(keys: readonly Uint8Array[]): Promise<readonly Located[]> {
    return this.#locateMany(keys.map((key) => ({ key })));
  }

  /** All versions of a key, newest first. Values are read in batches that grow, so that a long chain is walked fast. */
  async *versions(key: Uint8Array): AsyncGenerator<Version<V>> {
    let batchMax = 1;
    let places: Place[] = [];
    for await (const place of this.#chain(key)) {
      places.push(place);
      if (places.length < batchMax) continue;
      yield* this.#readVersions(places);
      places = [];
      batchMax = Math.min(versionBatchMax, batchMax * 2);
    }
    yield* this.#readVersions(places);
  }

  async *#readVersions(places: readonly Place[]): AsyncGenerator<Version<V>> {
    const frames = await this.#oversized.values.readMany(places.map(({ cursor }) => cursor));
    for (const [index, { cursor, position }] of places.entries()) {
      const decoded = await this.#decoded(cursor, present(frames[index], 'a frame'));
      if (decoded.kind === 'failed') throw decoded.error;
      if (decoded.kind === 'found') yield { value: decoded.value, cursor, position };
    }
  }

  /** The value that a cursor names, or why it cannot be had. */
  async read(cursor: Cursor): Promise<Lookup<V>> {
    const [frame] = await this.#oversized.values.readMany([cursor]);
    return this.#decoded(cursor, present(frame, 'a frame'));
  }

  /** The places of a key's records, newest first. */
  async *#chain(key: Uint8Array): AsyncGenerator<Place> {
    const [head] = await this.#table.heads([crc32c(key)]);
    if (head instanceof Error) throw head;
    let at: RecordPosition | undefined = head;
    while (at !== undefined) {
      const [bytes] = await this.#oversized.keys.readMany([at]);
      if (bytes instanceof Error) throw bytes;
      const image = { bytes: present(bytes, 'a record'), at: 0 };
      const record = this.#parse(at, image);
      if (record instanceof Error) throw record;
      if (isRecordOf(key, image.bytes, image.at)) yield { cursor: cursorOf(at, record), position: at };
      at = record.next;
    }
  }

  /** At once when buckets and chains are in memory: a promise a key would cost more than its way through them. */
  #locateMany(identifiers: readonly Identifier[]): readonly Located[] | Promise<readonly Located[]> {
    const located: Located[] = new Array(identifiers.length).fill(undefined);
    const searches: Search[] = [];
    for (const [index, identifier] of identifiers.entries()) {
      if ('cursor' in identifier) located[index] = identifier;
      else searches.push({ index, key: identifier.key, hash: crc32c(identifier.key) });
    }
    const absent: Search[] = [];
    const walks = this.#enterInMemory(searches, absent, located);
    const paused = this.#walkInMemory(walks, located);
    return absent.length + paused.length === 0 ? located : this.#locateOnDisk(absent, paused, located);
  }

  async #locateOnDisk(
    searches: readonly Search[],
    walks: readonly Walk[],
    located: Located[],
  ): Promise<readonly Located[]> {
    const entered: Walk[] = [];
    if (searches.length > 0) {
      const heads = await this.#table.heads(searches.map(({ hash }) => hash));
      for (const [at, search] of searches.entries()) this.#enter(search, heads[at], entered, located);
    }
    for (let open = [...walks, ...this.#walkInMemory(entered, located)]; open.length > 0; ) {
      const records = await this.#oversized.keys.readMany(open.map((walk) => walk.at));
      const further = open.filter((walk, at) => {
        const bytes = present(records[at], 'a record');
        return !this.#endsAt(bytes instanceof Error ? bytes : { bytes, at: 0 }, walk, located);
      });
      open = this.#walkInMemory(further, located);
    }
    return located;
  }

  /** Begins searches at the heads of their chains; those whose bucket is not in memory are added to `absent`. */
  #enterInMemory(searches: readonly Search[], absent: Search[], located: Located[]): Walk[] {
    const walks: Walk[] = [];
    for (const search of searches) {
      const bucket = this.#table.bucketOf(search.hash);
      if (this.#table.has(bucket)) this.#enter(search, this.#table.head(bucket), walks, located);
      else absent.push(search);
    }
    return walks;
  }

  /** Begins a search at the head of its chain; a key without one, or with a damaged bucket, is settled at once. */
  #enter(search: Search, head: RecordPosition | Error | undefined, walks: Walk[], located: Located[]): void {
    if (head !== undefined && !(head instanceof Error)) {
      walks.push({ search, at: head, readCount: 0 });
      return;
    }
    located[search.index] = head;
    this.chainReads.add(0);
  }

  /** Takes walks past the records that are in memory, all by one record at a time; gives those that need the disk. */
  #walkInMemory(walks: readonly Walk[], located: Located[]): Walk[] {
    const paused: Walk[] = [];
    const size = this.#oversized.keys.recordSize;
    for (let open = walks; open.length > 0; ) {
      const images = open.map(({ at }) => this.#oversized.keys.peek(at));
      touchAll(images, size);
      const further: Walk[] = [];
      for (const [at, walk] of open.entries()) {
        const image = images[at];
        if (image === undefined) paused.push(walk);
        else if (!this.#endsAt(image, walk, located)) further.push(walk);
      }
      open = further;
    }
    return paused;
  }

  /** Takes a walk past its next record. Whether it ended there. */
  #endsAt(image: RecordImage | Error, walk: Walk, located: Located[]): boolean {
    walk.readCount++;
    const next = image instanceof Error ? image : this.#visit(image, walk);
    if (isPosition(next)) {
      walk.at = next;
      return false;
    }
    located[walk.search.index] = next;
    this.chainReads.add(walk.readCount);
    return true;
  }

  /** What a record says to a walk: where its key's value is, why that cannot be told, or where to go on. */
  #visit(image: RecordImage, walk: Walk): Located | RecordPosition {
    const record = this.#parse(walk.at, image);
    if (record instanceof Error) return record;
    if (isRecordOf(walk.search.key, image.bytes, image.at)) return { cursor: cursorOf(walk.at, record) };
    const stray = this.#strayDamage(walk, image);
    if (stray !== undefined) return stray;
    this.unnecessaryReads.add();
    return record.next;
  }

  /** All keys of a chain have the bits in common that chose their bucket when the table was smallest. */
  #strayDamage({ at, search }: Walk, image: RecordImage): Error | undefined {
    const mask = this.#table.initialSize - 1;
    const found = crc32c(image.bytes.subarray(image.at, image.at + this.#keySize));
    if (((found ^ search.hash) & mask) === 0) return undefined;
    const file = this.#oversized.keys.blobs.path(at.section);
    return recordDamage(file, at.position, 'a key of its chain', 'a key of another one');
  }

  /** A record whose chain goes backwards, or the error that says why it is none. */
  #parse(at: RecordPosition, image: RecordImage): RecordTail | Error {
    const file = (): string => this.#oversized.keys.blobs.path(at.section);
    try {
      const record = readRecordTail(image.bytes, image.at, this.#keySize);
      if (record.next === undefined || isBefore(record.next, at)) return record;
      const { section, position } = record.next;
      return recordDamage(file(), at.position, 'a next record before it', `${section}/${position}`);
    } catch (error) {
      if (error instanceof CodecError) return recordDamage(file(), at.position, 'fields below 2^53', error.message);
      throw error;
    }
  }

  /** At once where nothing is compressed: a promise a value would cost more than all else that is done for it. */
  #decoded(cursor: Cursor, frame: Buffer | Error): Lookup<V> | Promise<Lookup<V>> {
    if (frame instanceof Error) return { kind: 'failed', error: frame };
    try {
      const value = this.#coding.decode(frame);
      if (!(value instanceof Promise)) return { kind: 'found', value, cursor };
      return value.then(
        (decoded) => ({ kind: 'found', value: decoded, cursor }),
        (error: unknown) => this.#undecoded(cursor, error),
      );
    } catch (error) {
      return this.#undecoded(cursor, error);
    }
  }

  #undecoded({ section, offset, size }: Cursor, error: unknown): Lookup<V> {
    const file = this.#oversized.values.blobs.path(section);
    const expected = this.#coding.compresses ? 'a compressed value' : 'an encoded value';
    const place = { file, offset: offset + headerSize, expected, found: messageOf(error) };
    return { kind: 'failed', error: corruption(`value of ${size} bytes`, place) };
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

function isPosition(next: Located | RecordPosition): next is RecordPosition {
  return next !== undefined && 'position' in next;
}

function cursorOf({ section }: RecordPosition, { valueOffset, valueSize }: RecordTail): Cursor {
  return { section, offset: valueOffset, size: valueSize };
}
