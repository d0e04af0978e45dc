/**
 * Reading: from a key through the table and its chain to the value, or from a cursor straight to it.
 *
 * Many identifiers take the same steps together, so that one list of reads serves all of them. A chain must go
 * backwards at every step (H21); what cannot be read is reported for the identifier that met it, never as missing.
 */
import { present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { messageOf } from '../base/errors.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { CodecError } from '../codec/codec-error.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { Oversized } from '../journal/oversized.ts';
import { ChainReads } from './chain-reads.ts';
import type { Cursor } from './cursor.ts';
import type { FrameCoding } from './frame-coding.ts';
import { isBefore, type KeyRecord, readRecord, recordDamage } from './key-record.ts';
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

interface Walk {
  readonly index: number;
  readonly key: Uint8Array;
  at: RecordPosition;
}

interface Link {
  readonly at: RecordPosition;
  readonly record: KeyRecord;
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
    const located = await this.#locateMany(identifiers);
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
  locateMany(keys: readonly Uint8Array[]): Promise<readonly Located[]> {
    return this.#locateMany(keys.map((key) => ({ key })));
  }

  /** All versions of a key, newest first. Values are read in batches that grow, so that a long chain is walked fast. */
  async *versions(key: Uint8Array): AsyncGenerator<Version<V>> {
    let batchMax = 1;
    let places: Place[] = [];
    for await (const { at, record } of this.#chain(key)) {
      if (record.key.compare(key) !== 0) continue;
      const cursor = { section: at.section, offset: record.valueOffset, size: record.valueSize };
      places.push({ cursor, position: at });
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

  async *#chain(key: Uint8Array): AsyncGenerator<Link> {
    const [head] = await this.#table.heads([crc32c(key)]);
    if (head instanceof Error) throw head;
    let at: RecordPosition | undefined = head;
    while (at !== undefined) {
      const [bytes] = await this.#oversized.keys.readMany([at]);
      const link = this.#parse(at, present(bytes, 'a record'));
      if (link instanceof Error) throw link;
      yield { at, record: link };
      at = link.next;
    }
  }

  async #locateMany(identifiers: readonly Identifier[]): Promise<readonly Located[]> {
    const located: Located[] = identifiers.map((identifier) =>
      'cursor' in identifier ? { cursor: identifier.cursor } : undefined,
    );
    let walks = await this.#begin(identifiers, located);
    for (let readCount = 1; walks.length > 0; readCount++) {
      const going = await this.#step(walks, located);
      this.chainReads.add(readCount, walks.length - going.length);
      walks = going;
    }
    return located;
  }

  /** Finds the chain heads; a key without one, or with a damaged bucket, is settled at once. */
  async #begin(identifiers: readonly Identifier[], located: Located[]): Promise<Walk[]> {
    const wanted = identifiers.flatMap((identifier, index) =>
      'key' in identifier ? [{ index, key: identifier.key }] : [],
    );
    if (wanted.length === 0) return [];
    const heads = await this.#table.heads(wanted.map(({ key }) => crc32c(key)));
    const walks = wanted.flatMap(({ index, key }, at) => {
      const head = heads[at];
      if (head instanceof Error) located[index] = head;
      return head === undefined || head instanceof Error ? [] : [{ index, key, at: head }];
    });
    this.chainReads.add(0, wanted.length - walks.length);
    return walks;
  }

  /** Takes all walks one record further; gives those that are not over. */
  async #step(walks: readonly Walk[], located: Located[]): Promise<Walk[]> {
    const records = await this.#oversized.keys.readMany(walks.map((walk) => walk.at));
    return walks.filter((walk, at) => {
      const record = this.#parse(walk.at, present(records[at], 'a record'));
      if (record instanceof Error) {
        located[walk.index] = record;
        return false;
      }
      if (record.key.compare(walk.key) === 0) {
        located[walk.index] = {
          cursor: { section: walk.at.section, offset: record.valueOffset, size: record.valueSize },
        };
        return false;
      }
      const stray = this.#strayDamage(walk, record);
      if (stray !== undefined) {
        located[walk.index] = stray;
        return false;
      }
      this.unnecessaryReads.add();
      if (record.next === undefined) return false;
      walk.at = record.next;
      return true;
    });
  }

  /** All keys of a chain have the bits in common that chose their bucket when the table was smallest. */
  #strayDamage({ at, key }: Walk, record: KeyRecord): Error | undefined {
    const mask = this.#table.initialSize - 1;
    if (((crc32c(record.key) ^ crc32c(key)) & mask) === 0) return undefined;
    const file = this.#oversized.keys.blobs.path(at.section);
    return recordDamage(file, at.position, 'a key of its chain', 'a key of another one');
  }

  /** A record whose chain goes backwards, or the error that says why it is none. */
  #parse(at: RecordPosition, bytes: Buffer | Error): KeyRecord | Error {
    if (bytes instanceof Error) return bytes;
    const file = (): string => this.#oversized.keys.blobs.path(at.section);
    try {
      const record = readRecord(bytes, 0, this.#keySize);
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
