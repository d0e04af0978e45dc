/**
 * The freezer: an append-only, disk-resident key-value store. A key index and a value journal hold the records; an
 * extendible hash table finds the newest record of a key.
 *
 * Two things make data durable, and they are not the same:
 *
 * - `commit` makes the journals durable, with sequential writes only. What it returned for survives every crash:
 *   opening with `roll-forward` finds it behind the last checkpoint.
 * - `sync` also writes the table and yields a checkpoint, at which the store can be opened again.
 *
 * States: open, poisoned (a mutation failed; only reads are answered, and only committed records are certain), closed.
 *
 * Invariants:
 *
 * - Puts are serialised. One commit or sync runs at a time; puts during a commit collect in memory, and no byte of a
 *   key section is written from its first write until its last fsync returned. Values of a large batch are written, and
 *   fsynced, ahead of its commit; not while one runs.
 * - Sync is a barrier for puts from the moment it takes the changed buckets until `save(checkpoint)` is done: a put
 *   after a finished resize but before its checkpoint could not be replayed.
 * - A section and its directory entries are durable before the first byte of the next one.
 *
 * Crash behaviour: see `recovery.ts`.
 */
import { present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { Mutex } from '../base/mutex.ts';
import { Poison } from '../base/poison.ts';
import { yieldToLoop } from '../base/yield.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { Disk } from '../disk/disk.ts';
import { compareEnds, type JournalEnd } from '../journal/journal-end.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { Oversized } from '../journal/oversized.ts';
import type { ValueLocation } from '../journal/value-log.ts';
import type { ChainReadCounts } from './chain-reads.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Cursor } from './cursor.ts';
import { removeStore } from './destroy.ts';
import { findKey } from './find-record.ts';
import { FrameCoding, type PreparedValues } from './frame-coding.ts';
import { FreezerError } from './freezer-error.ts';
import type { FreezerHooks } from './hooks.ts';
import { writeRecord } from './key-record.ts';
import type { Identifier, Lookup } from './lookup.ts';
import { openStore } from './open.ts';
import { Reader, type Version } from './reader.ts';
import { iterateRecords, type StoredRecord } from './records.ts';
import type { FreezerSettings } from './settings.ts';
import { checkSettings } from './settings-check.ts';
import type { FreezerStart, TableState } from './start.ts';
import type { Table } from './table.ts';

/** Where an appended record went. */
export interface Appended {
  readonly cursor: Cursor;
  readonly position: RecordPosition;
}

export interface Entry<V> {
  readonly key: Uint8Array;
  readonly value: V;
}

/** Runs beside a commit's fsyncs, with the end of the commit before it. */
export type SaveMark = (previous: JournalEnd) => Promise<void>;
/** Makes a checkpoint durable at the caller; the next put waits for it. */
export type SaveCheckpoint = (checkpoint: Checkpoint, table: TableState) => Promise<void>;

/** Entries that were checked, and what was worked out about them outside of the writer's turn. */
interface PreparedBatch {
  readonly keys: readonly Uint8Array[];
  readonly hashes: readonly number[];
  readonly values: PreparedValues;
}

/** Records appended between two turns of the event loop. */
const appendStepCount = 2048;

export class Freezer<V> {
  readonly #disk: Disk;
  readonly #settings: FreezerSettings<V>;
  readonly #hooks: FreezerHooks;
  readonly #oversized: Oversized;
  readonly #table: Table;
  readonly #coding: FrameCoding<V>;
  readonly #reader: Reader<V>;
  readonly #writer = new Mutex();
  readonly #commits = new Mutex();
  readonly #poison = new Poison();
  #closed = false;
  #epoch: number;
  #committed: JournalEnd;
  /** The commit whose writes and fsyncs run now; never rejects. */
  #inFlight: Promise<void> = Promise.resolve();
  readonly #puts = new Counter();
  readonly #gets = new Counter();
  readonly #has = new Counter();

  private constructor(
    disk: Disk,
    settings: FreezerSettings<V>,
    hooks: FreezerHooks,
    store: Awaited<ReturnType<typeof openStore<V>>>,
  ) {
    this.#disk = disk;
    this.#settings = settings;
    this.#hooks = hooks;
    this.#oversized = store.oversized;
    this.#table = store.table;
    this.#coding = store.coding;
    this.#reader = new Reader(store.table, store.oversized, store.coding, settings.keySize);
    this.#epoch = store.epoch;
    this.#committed = store.oversized.end;
  }

  /**
   * Opens the store below the disk's root, as `start` says. Refuses what it cannot explain with a FreezerError
   * (`invalid-settings`, `not-empty`, `checkpoint-mismatch`, `corruption`) before it changed a byte.
   */
  static async open<V>(
    disk: Disk,
    settings: FreezerSettings<V>,
    start: FreezerStart,
    hooks: FreezerHooks = {},
  ): Promise<Freezer<V>> {
    checkSettings(settings);
    const coding = new FrameCoding(settings.valueCodec, settings.valueCompression);
    return new Freezer(disk, settings, hooks, await openStore(disk, settings, coding, start, hooks));
  }

  /** Counts since this instance was opened. */
  get counters(): FreezerCounters {
    const keys = this.#oversized.keys.blobs;
    const values = this.#oversized.values.blobs;
    return {
      puts: this.#puts.value,
      gets: this.#gets.value,
      has: this.#has.value,
      unnecessaryReads: this.#reader.unnecessaryReads.value,
      chainReads: this.#reader.chainReads.counts,
      unnecessaryWrites: this.#table.unnecessaryWrites.value,
      resizes: this.#table.resizes.value,
      keySections: { tracked: keys.tracked.value, synced: keys.synced.value, pruned: keys.pruned.value },
      valueSections: { tracked: values.tracked.value, synced: values.synced.value, pruned: values.pruned.value },
    };
  }

  /** Epoch that is being written: the last checkpoint's and one. */
  get epoch(): number {
    return this.#epoch;
  }

  /** End of the last commit, or of recovery: everything below is durable. */
  get committed(): JournalEnd {
    return this.#committed;
  }

  /** End of what was appended. */
  get end(): JournalEnd {
    return this.#oversized.end;
  }

  /** Buckets that lookups use. */
  get tableSize(): number {
    return this.#table.size;
  }

  get tableState(): TableState {
    return this.#table.state;
  }

  /** Buckets of the running resize that are done; undefined when none runs. */
  get resizing(): number | undefined {
    return this.#table.state.resizeProgress;
  }

  /** Buckets that reached the resize frequency. */
  get resizable(): number {
    return this.#table.state.resizable;
  }

  /** Changed buckets in memory, at most `tableChangesMax`. */
  get changedCount(): number {
    return this.#table.changedCount;
  }

  /** Why no mutation is possible any more, if so. */
  get poisoned(): Error | undefined {
    return this.#poison.cause;
  }

  /** Appends one record, newest of its key from now on. Not durable before the next `commit` or `sync`. */
  async put(key: Uint8Array, value: V): Promise<Cursor> {
    const [appended] = await this.putMany([{ key, value }]);
    if (appended === undefined) throw new FreezerError('poisoned', 'put gave no outcome', { fatal: true });
    return appended.cursor;
  }

  /**
   * Appends records in their order. All are checked before the first is appended; `sync-required`, `invalid-key`,
   * `invalid-value` and corruption of a bucket append nothing. Waits while memory is full.
   */
  async putMany(entries: readonly Entry<V>[]): Promise<readonly Appended[]> {
    const preparing = this.#prepare(entries);
    preparing.catch(() => {});
    return this.#writer.run(async () => {
      const batch = await preparing;
      this.#mutable();
      return this.#append(batch);
    });
  }

  /** The newest value of a key, or `undefined`; the value that a cursor names, or an error. Sees unsynced records. */
  async get(identifier: Identifier): Promise<V | undefined> {
    this.#checkIdentifier(identifier);
    this.#gets.add();
    const lookup = this.#reader.lookup(identifier);
    return valueIn(lookup instanceof Promise ? await lookup : lookup);
  }

  /** As `get` for each; the first that cannot be had is thrown. */
  async getMany(identifiers: readonly Identifier[]): Promise<readonly (V | undefined)[]> {
    const lookups = await this.lookupMany(identifiers);
    return lookups.map(valueIn);
  }

  /** One outcome for each identifier; what is wrong with one does not touch the others. */
  async lookupMany(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    for (const identifier of identifiers) this.#checkIdentifier(identifier);
    this.#readable();
    this.#gets.add(identifiers.length);
    return this.#reader.lookupMany(identifiers);
  }

  /** Whether the key has a record. Reads no value. */
  async has(key: Uint8Array): Promise<boolean> {
    this.#readable();
    this.#checkKey(key);
    this.#has.add();
    const [located] = await this.#reader.locateMany([key]);
    if (located instanceof Error) throw located;
    return located !== undefined;
  }

  /** All versions of a key, newest first, uncommitted ones included. */
  versions(key: Uint8Array): AsyncGenerator<Version<V>> {
    this.#readable();
    this.#checkKey(key);
    return this.#reader.versions(key);
  }

  /**
   * The key of the record whose value lies exactly where the cursor says; `undefined` when none does. Reads no value;
   * throws when it cannot be told.
   */
  async keyAt(cursor: Cursor): Promise<Buffer | undefined> {
    this.#readable();
    return findKey(this.#oversized, this.#settings.keySize, cursor);
  }

  /** All records that were appended before this call, in the order of the archive. */
  records(): AsyncGenerator<StoredRecord<V>> {
    this.#readable();
    return iterateRecords(this.#oversized, this.#reader, this.#settings.keySize);
  }

  /**
   * Makes all appended records durable. `save` runs in the same round as the fsyncs. When it fails the freezer is
   * poisoned: nothing is known about the records since the last commit.
   */
  commit(save?: SaveMark): Promise<JournalEnd> {
    return this.#commits.run(async () => {
      const { done } = await this.#writer.run(async () => {
        await this.#quiet();
        return { done: this.#persist(save) };
      });
      await done;
      return this.#committed;
    });
  }

  /** Commits, writes the table, makes it durable, and lets no put in before `save(checkpoint)` is done. */
  sync(save?: SaveCheckpoint): Promise<Checkpoint> {
    return this.#checkpointed(save, { finish: false });
  }

  /** Completes a running resize, syncs, and gives the handles back. That last sync may start another resize. */
  async close(save?: SaveCheckpoint): Promise<Checkpoint> {
    const checkpoint = await this.#checkpointed(save, { finish: true });
    await this.release();
    return checkpoint;
  }

  /** Gives the handles back and syncs nothing: what was not committed is lost. */
  release(): Promise<void> {
    return this.#commits.run(() =>
      this.#writer.run(async () => {
        if (this.#closed) return;
        this.#closed = true;
        await this.#oversized.close();
        await this.#table.close();
      }),
    );
  }

  /** Removes the store's files and directories, durably. */
  async destroy(): Promise<void> {
    await this.release();
    await removeStore(this.#disk, this.#settings);
  }

  async #prepare(entries: readonly Entry<V>[]): Promise<PreparedBatch> {
    const keys = entries.map(({ key }) => key);
    for (const key of keys) this.#checkKey(key);
    const values = await this.#coding.prepareMany(entries.map(({ value }) => value));
    return { keys, hashes: keys.map((key) => crc32c(key)), values };
  }

  /** Values first, while the disk reads the table: nothing refers to them if the table cannot be read. */
  async #append(batch: PreparedBatch): Promise<readonly Appended[]> {
    const loading = this.#table.load(batch.hashes.map((hash) => this.#table.bucketOf(hash)));
    loading.catch(() => {});
    const appended: Appended[] = [];
    while (appended.length < batch.keys.length) {
      const places = await this.#guarded(() => this.#appendValues(batch, appended.length));
      try {
        await loading;
      } catch (error) {
        this.#oversized.values.retract(places);
        throw error;
      }
      await this.#guarded(async () => this.#appendRecords(batch, places, appended));
      this.#startEarly();
      if (appended.length < batch.keys.length) await yieldToLoop();
    }
    this.#puts.add(appended.length);
    return appended;
  }

  /** Appends the values from `first` on that fit this turn, memory and the section: one at least. */
  async #appendValues({ keys, values }: PreparedBatch, first: number): Promise<readonly ValueLocation[]> {
    const log = this.#oversized.values;
    if (log.size >= this.#settings.valueTargetSize) await this.#rollover();
    if (this.#oversized.overfull) await this.#makeRoom();
    if (!this.#oversized.hasFiles) await this.#oversized.ensureFiles();
    const places: ValueLocation[] = [];
    const end = Math.min(keys.length, first + appendStepCount);
    const sizeEnd = Math.min(this.#settings.valueTargetSize, log.size + this.#oversized.headStartSize);
    for (let index = first; index < end; index++) {
      const size = present(values.sizes[index], 'the size of a value');
      const frame = log.reserve(size);
      values.write(index, frame.into, frame.at);
      places.push(log.seal(size));
      if (log.size >= sizeEnd || this.#oversized.overfull) break;
    }
    return places;
  }

  #appendRecords({ keys, hashes }: PreparedBatch, places: readonly ValueLocation[], appended: Appended[]): void {
    for (const cursor of places) {
      const key = present(keys[appended.length], 'a key');
      const bucket = this.#table.bucketOf(present(hashes[appended.length], 'a hash'));
      const head = this.#table.head(bucket);
      const { into, at, position } = this.#oversized.reserveRecord();
      writeRecord(into, at, key, head, cursor);
      this.#table.update(bucket, head, { epoch: this.#epoch, section: cursor.section, position });
      appended.push({ cursor, position: { section: cursor.section, position } });
    }
  }

  /** Lets the disk begin with a large batch. The commit that needs it fails with it. */
  #startEarly(): void {
    const started = this.#oversized.headStart();
    if (started !== undefined) this.#guarded(() => started).catch(() => {});
  }

  /** Takes what was appended and starts to make it durable; puts go on while `done` is pending. */
  #persist(save: SaveMark | undefined): Promise<void> {
    const staged = this.#oversized.stage();
    if (staged === undefined && compareEnds(this.#committed, this.#oversized.end) === 0) return Promise.resolve();
    const previous = this.#committed;
    const end = this.#oversized.end;
    const done = this.#guarded(async () => {
      if (staged !== undefined)
        await this.#oversized.persist(staged, save === undefined ? undefined : () => save(previous));
      this.#committed = end;
    });
    this.#inFlight = done.catch(() => {});
    return done;
  }

  async #rollover(): Promise<void> {
    await this.#quiet();
    const staged = this.#oversized.stage();
    if (staged !== undefined) await this.#oversized.persist(staged);
    await this.#hooks.sealed?.(this.#oversized.end);
    await this.#oversized.startNextSection();
  }

  async #makeRoom(): Promise<void> {
    await this.#quiet();
    if (this.#oversized.overfull) await this.#oversized.overflow();
  }

  /** Waits for the commit in flight, until which no byte of a key section may be written, and for a write of values. */
  async #quiet(): Promise<void> {
    this.#mutable();
    await this.#guarded(async () => {
      await this.#inFlight;
      await this.#oversized.written();
    });
    this.#mutable();
  }

  #checkpointed(save: SaveCheckpoint | undefined, options: { readonly finish: boolean }): Promise<Checkpoint> {
    return this.#commits.run(() =>
      this.#writer.run(async () => {
        await this.#quiet();
        return this.#guarded(() => this.#syncAll(save, options));
      }),
    );
  }

  async #syncAll(save: SaveCheckpoint | undefined, options: { readonly finish: boolean }): Promise<Checkpoint> {
    await this.#persist(undefined);
    await this.#table.sync(this.#epoch, options);
    const { section, keyBytes } = this.#committed;
    const checkpoint: Checkpoint = { epoch: this.#epoch, section, keyBytes, tableSize: this.#table.size };
    await save?.(checkpoint, this.#table.state);
    this.#epoch++;
    return checkpoint;
  }

  /** Runs a mutation; its failure is final for this instance. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#poison.mark(error);
      throw error;
    }
  }

  #checkIdentifier(identifier: Identifier): void {
    this.#readable();
    if ('key' in identifier) this.#checkKey(identifier.key);
  }

  #checkKey(key: Uint8Array): void {
    const { keySize } = this.#settings;
    if (key.length === keySize) return;
    throw new FreezerError('invalid-key', `key has ${key.length} bytes; this store's have ${keySize}`, {
      details: { expected: keySize, found: key.length },
    });
  }

  #readable(): void {
    if (this.#closed) throw new FreezerError('closed', 'the freezer is closed');
  }

  #mutable(): void {
    this.#readable();
    const { cause } = this.#poison;
    if (cause !== undefined) {
      throw new FreezerError('poisoned', `an earlier write failed: ${cause.message}`, { fatal: true, cause });
    }
  }
}

function valueIn<V>(lookup: Lookup<V>): V | undefined {
  if (lookup.kind === 'failed') throw lookup.error;
  return lookup.kind === 'found' ? lookup.value : undefined;
}

export interface SectionCounters {
  readonly tracked: number;
  readonly synced: number;
  readonly pruned: number;
}

export interface FreezerCounters {
  readonly puts: number;
  readonly gets: number;
  readonly has: number;
  readonly unnecessaryReads: number;
  /** Of lookups and `has` by key. */
  readonly chainReads: ChainReadCounts;
  readonly unnecessaryWrites: number;
  readonly resizes: number;
  readonly keySections: SectionCounters;
  readonly valueSections: SectionCounters;
}
