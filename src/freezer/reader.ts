/**
 * Reading: from a key through the table and its chain to the value, or from a cursor straight to it.
 *
 * What memory and the page cache have is read at once, so that a warm get makes no promise of its own; everything else goes
 * in groups that wait for the disk together. Work at once is interrupted by turns of the event loop. What cannot be read is
 * reported for the identifier that met it, never as missing.
 */
import { present } from '../base/assert.ts';
import type { Counter } from '../base/counter.ts';
import { messageOf } from '../base/errors.ts';
import { yieldToLoop } from '../base/yield.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { Oversized } from '../journal/oversized.ts';
import type { ChainReads } from './chain-reads.ts';
import { ChainSearch, type Located, onDisk, type Place } from './chain-search.ts';
import type { Cursor } from './cursor.ts';
import type { FrameCoding } from './frame-coding.ts';
import type { Identifier, Lookup } from './lookup.ts';
import { LookupGroups } from './lookup-groups.ts';
import type { Table } from './table.ts';

export interface Version<V> {
  readonly value: V;
  readonly cursor: Cursor;
  readonly position: RecordPosition;
}

/** A lookup that is done, or that goes on elsewhere. */
type Begun<V> = Lookup<V> | Promise<Lookup<V>>;

const missing = { kind: 'missing' } as const;

/** Versions whose values are read together. */
const versionBatchMax = 64;

/** Lookups at once between two turns of the event loop: a millisecond's work. */
const lookupsPerTurn = 128;

export class Reader<V> {
  readonly #search: ChainSearch;
  readonly #oversized: Oversized;
  readonly #coding: FrameCoding<V>;
  readonly #groups = new LookupGroups<V>((identifiers) => this.#lookupTogether(identifiers));
  /** Lookups at once since the last turn of the event loop that they waited for. */
  #atOnce = 0;
  #turning: Promise<void> | undefined;

  constructor(table: Table, oversized: Oversized, coding: FrameCoding<V>, keySize: number) {
    this.#search = new ChainSearch(table, oversized.keys, keySize);
    this.#oversized = oversized;
    this.#coding = coding;
  }

  /** Records read on the way to another key's. */
  get unnecessaryReads(): Counter {
    return this.#search.unnecessaryReads;
  }

  get chainReads(): ChainReads {
    return this.#search.chainReads;
  }

  /** The outcome, at once where nothing has to be waited for. */
  lookup(identifier: Identifier): Begun<V> {
    if (this.#atOnce >= lookupsPerTurn) return this.#turn().then(() => this.lookup(identifier));
    this.#atOnce++;
    const located = 'cursor' in identifier ? identifier.cursor : this.#search.locateNow(identifier.key);
    return this.#begin(identifier, located);
  }

  /** One outcome for each identifier, in their order. */
  async lookupMany(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    const lookups: Begun<V>[] = [];
    while (lookups.length < identifiers.length) {
      if (this.#atOnce >= lookupsPerTurn) await this.#turn();
      const from = lookups.length;
      this.#beginMany(identifiers.slice(from, from + lookupsPerTurn - this.#atOnce), lookups);
    }
    return settled(lookups);
  }

  /** Place of the newest record of each key; `undefined` where there is none. */
  locateMany(keys: readonly Uint8Array[]): Promise<readonly Located[]> {
    return this.#search.locateMany(keys);
  }

  /** All versions of a key, newest first. Values are read in batches that grow, so that a long chain is walked fast. */
  async *versions(key: Uint8Array): AsyncGenerator<Version<V>> {
    let batchMax = 1;
    let places: Place[] = [];
    for await (const place of this.#search.places(key)) {
      places.push(place);
      if (places.length < batchMax) continue;
      yield* this.#readVersions(places);
      places = [];
      batchMax = Math.min(versionBatchMax, batchMax * 2);
    }
    yield* this.#readVersions(places);
  }

  /** The value that a cursor names, or why it cannot be had. */
  async read(cursor: Cursor): Promise<Lookup<V>> {
    const [frame] = await this.#oversized.values.readMany([cursor]);
    return this.#decoded(cursor, present(frame, 'a frame'));
  }

  async *#readVersions(places: readonly Place[]): AsyncGenerator<Version<V>> {
    const frames = await this.#oversized.values.readMany(places.map(({ cursor }) => cursor));
    for (const [index, { cursor, position }] of places.entries()) {
      const decoded = await this.#decoded(cursor, present(frames[index], 'a frame'));
      if (decoded.kind === 'failed') throw decoded.error;
      if (decoded.kind === 'found') yield { value: decoded.value, cursor, position };
    }
  }

  /** The next turn of the event loop, for all that wait for it. */
  #turn(): Promise<void> {
    this.#turning ??= yieldToLoop().then(() => {
      this.#atOnce = 0;
      this.#turning = undefined;
    });
    return this.#turning;
  }

  #beginMany(identifiers: readonly Identifier[], lookups: Begun<V>[]): void {
    this.#atOnce += identifiers.length;
    const places = this.#search.locateManyNow(keysOf(identifiers));
    let at = 0;
    for (const identifier of identifiers) {
      lookups.push(this.#begin(identifier, 'cursor' in identifier ? identifier.cursor : places[at++]));
    }
  }

  /** Goes on with what is known of a place: to its value, or to where the disk is waited for. */
  #begin(identifier: Identifier, located: Located | typeof onDisk): Begun<V> {
    if (located === undefined) return missing;
    if (located === onDisk) return this.#groups.lookup(identifier);
    if (located instanceof Error) return { kind: 'failed', error: located };
    const frame = this.#oversized.values.readNow(located);
    return frame === undefined ? this.#groups.lookup({ cursor: located }) : this.#decoded(located, frame);
  }

  /** As the groups ask for it: with all the waiting that it takes. */
  async #lookupTogether(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    const keys = keysOf(identifiers);
    const places = (keys.length === 0 ? [] : await this.#search.locateMany(keys)).values();
    const located = identifiers.map((identifier) => ('cursor' in identifier ? identifier.cursor : places.next().value));
    const cursors = located.flatMap((place) => (place === undefined || place instanceof Error ? [] : [place]));
    const frames = (await this.#oversized.values.readMany(cursors)).values();
    const lookups = located.map((place): Begun<V> => {
      if (place === undefined) return missing;
      if (place instanceof Error) return { kind: 'failed', error: place };
      return this.#decoded(place, present(frames.next().value, 'a frame'));
    });
    return settled(lookups);
  }

  /** At once where nothing is compressed: a promise a value would cost more than all else that is done for it. */
  #decoded(cursor: Cursor, frame: Buffer | Error): Begun<V> {
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

function keysOf(identifiers: readonly Identifier[]): readonly Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const identifier of identifiers) if ('key' in identifier) keys.push(identifier.key);
  return keys;
}

/** All outcomes. Most lists have nothing to wait for. */
function settled<V>(lookups: readonly Begun<V>[]): readonly Lookup<V>[] | Promise<readonly Lookup<V>[]> {
  return lookups.every(isDone) ? lookups : Promise.all(lookups);
}

function isDone<V>(lookup: Begun<V>): lookup is Lookup<V> {
  return !(lookup instanceof Promise);
}
