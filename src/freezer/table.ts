/**
 * The hash table: for every bucket the newest record of its chain. FORMAT.md section 5, the resize in SEMANTICS 1.5.
 *
 * The table is written back, not through: buckets that puts change live in memory until `sync` writes them in one
 * ordered pass, behind the journals' fsync. So a put costs no write here, and an unfinished epoch never overwrites a
 * slot that the durable checkpoint needs (H4).
 *
 * States: no resize, or a resize with `progress` buckets of the old half copied. Up to there both halves are kept
 * identical; lookups use the old size until the last chunk is done.
 *
 * Crash behaviour: while `sync` runs any part of its writes may reach the disk; each goes to the slot that is not the
 * newest of the checkpoint before, or lies behind the table's old end.
 */
import { assert, present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { Mutex } from '../base/mutex.ts';
import type { Blob } from '../blob/blob.ts';
import { type BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import type { DiskWrite } from '../disk/disk.ts';
import { DiskError } from '../disk/disk-error.ts';
import { ChangedBuckets } from './changed-buckets.ts';
import { FreezerError } from './freezer-error.ts';
import { bucketDigest, digestOf, type HeadDigests, windowBucketsMax } from './head-digests.ts';
import { isSamePlace } from './key-record.ts';
import type { TableState } from './start.ts';
import {
  addedAfterPut,
  bucketDamage,
  bucketSize,
  newestSlot,
  readSlot,
  type Slot,
  slotForEpoch,
  slotOffset,
  writeSlot,
} from './table-entry.ts';
import { type Head, TableMirror } from './table-mirror.ts';
import { groupBytesMax, orderedBuckets, type PatchBucket, windowsOf, windowWrites } from './table-write-back.ts';

export interface TableSettings {
  readonly resizeFrequency: number;
  readonly resizeChunkSize: number;
  readonly changesMax: number;
  /** Memory up to which heads are mirrored; the mirror's own limit if not given. */
  readonly mirrorBytesMax?: number;
}

export const tableSizeMax = 2 ** 31;
/** A resize starts when this share of the buckets is worth it. */
const resizeThreshold = 0.5;
/** Buckets that are loaded together; each may need a window of its own, 3.7 KB. */
const loadStepCount = 4096;
/** Buckets that one step of a resize reads and writes between two turns of the event loop. */
const resizeStepCount = 4096;

/** Windows that are read together to fill a mirror: 58 KiB. */
const runWindows = 16;
/** More windows than a group of lookups asks for are read by themselves: they bring most of what is there anyway. */
const runsMax = 32;

/** In the place of a head that has to be read. */
const missing = Symbol('missing');

export function tableBytes(tableSize: number): number {
  return tableSize * bucketSize;
}

/** A window as it was read, and why its heads cannot be believed. */
interface WindowImage {
  readonly bytes: Buffer;
  readonly damage: BlobError | undefined;
}

/** A bucket somewhere in memory. */
interface BucketImage {
  readonly bytes: Buffer;
  readonly at: number;
}

/** What a bucket that was read has, and the bucket itself where the mirror did not take it. */
interface ReadBucket {
  readonly head: Head | undefined;
  readonly image: BucketImage | undefined;
}

export class Table {
  readonly #blob: Blob;
  readonly #settings: TableSettings;
  readonly #changed = new ChangedBuckets();
  /** Held while the file is written, so that a read that met a half-written bucket can wait and read again. */
  readonly #writing = new Mutex();
  /** Buckets that the table began with. */
  readonly initialSize: number;
  readonly #windowBuckets: number;
  /** Digests of the file, and of what the next sync makes of it; without them what is read is believed. */
  #digests: HeadDigests | undefined;
  readonly #digestsNext: HeadDigests | undefined;
  #mirror: TableMirror | undefined;
  /** Counts the beginnings and ends of writing to the file: odd while it is written. */
  #writings = 0;
  #size: number;
  #progress: number | undefined;
  #resizable: number;
  readonly unnecessaryWrites = new Counter();
  readonly resizes = new Counter();

  /** With the mirror that a scan of the whole table filled, if there was one. */
  constructor(blob: Blob, settings: TableSettings, size: number, state: TableState, mirror?: TableMirror) {
    this.#blob = blob;
    this.#settings = settings;
    this.#size = size;
    this.#progress = state.resizeProgress;
    this.#resizable = state.resizable;
    this.initialSize = state.initialSize;
    this.#digests = state.digests;
    this.#digestsNext = state.digests?.copy();
    this.#windowBuckets = state.digests?.windowBuckets ?? Math.min(size, windowBucketsMax);
    this.#mirror = mirror ?? TableMirror.of(size, this.#windowBuckets, settings.mirrorBytesMax);
  }

  /** Buckets that lookups use. */
  get size(): number {
    return this.#size;
  }

  get state(): TableState {
    const { initialSize } = this;
    return { resizeProgress: this.#progress, resizable: this.#resizable, initialSize, digests: this.#digests };
  }

  get changedCount(): number {
    return this.#changed.count + (this.#mirror?.changedCount ?? 0);
  }

  bucketOf(hash: number): number {
    return (hash & (this.#size - 1)) >>> 0;
  }

  /** Takes what recovery found a bucket to be, in place of what the file has. */
  override(bucket: number, from: Buffer, at: number): void {
    this.#changed.add(bucket, from, at);
  }

  /** Brings buckets into memory for `head` and `update`. Changes no bucket; throws when one is damaged or memory is full. */
  async load(buckets: Iterable<number>, changesMax = this.#settings.changesMax): Promise<void> {
    const wanted = [...buckets];
    this.#checkRoom(wanted, changesMax);
    const missing = wanted.filter((bucket) => !this.has(bucket));
    if (missing.length <= loadStepCount) return this.#loadTogether(missing);
    const ordered = Uint32Array.from(missing).sort();
    for (let from = 0; from < ordered.length; from += loadStepCount)
      await this.#loadTogether([...ordered.subarray(from, from + loadStepCount)]);
  }

  /** Whether the bucket is in memory: loaded, or mirrored. */
  has(bucket: number): boolean {
    return this.#changed.has(bucket) || this.#mirror?.has(this.#windowOf(bucket)) === true;
  }

  /** Chain head of a bucket that is in memory. */
  head(bucket: number): Head | undefined {
    const at = this.#changed.offsetOf(bucket);
    return at === undefined ? this.#mirrored().head(bucket) : newestSlot(this.#changed.bytes, at);
  }

  /** Makes the record the head of a bucket in memory, whose head so far is `head`. All of an epoch come before its sync. */
  update(
    bucket: number,
    head: Head | undefined,
    record: { readonly epoch: number; readonly section: number; readonly position: number },
  ): void {
    const added = addedAfterPut(head?.added ?? 0);
    const mirrored = this.#progress !== undefined && bucket < this.#progress;
    if (mirrored) this.unnecessaryWrites.add();
    if (added === this.#settings.resizeFrequency) this.#resizable += mirrored ? 2 : 1;
    const at = this.#changed.offsetOf(bucket);
    const { bytes } = this.#changed;
    if (at === undefined)
      this.#mirrored().change(bucket, { section: record.section, position: record.position, added });
    else writeSlot(bytes, slotOffset(at, slotForEpoch(bytes, at, record.epoch)), { ...record, added });
    this.#digestsNext?.change(bucket, head, record);
  }

  /** One outcome for each hash: the chain head, `undefined` for an empty bucket, or why it cannot be had. */
  async heads(hashes: readonly number[]): Promise<readonly (Head | undefined | Error)[]> {
    const heads = await this.#readHeads(hashes);
    const suspects = heads.flatMap((head, index) => (head instanceof Error ? [index] : []));
    if (suspects.length === 0) return heads;
    const again = await this.#writing.run(() =>
      this.#readHeads(suspects.map((index) => present(hashes[index], 'a hash'))),
    );
    const mended = [...heads];
    for (const [at, index] of suspects.entries()) mended[index] = again[at];
    return mended;
  }

  /**
   * The newest slot of the hash's bucket, as recovery or the file has it, or why it cannot be had. Reads one window and
   * keeps nothing: for who looks at a few buckets before the first put.
   */
  async slot(hash: number): Promise<Slot | undefined | BlobError> {
    const bucket = this.bucketOf(hash);
    const loaded = this.#changed.offsetOf(bucket);
    if (loaded !== undefined) return newestSlot(this.#changed.bytes, loaded);
    const window = this.#windowOf(bucket);
    const bytes = Buffer.allocUnsafe(tableBytes(this.#windowBuckets));
    await this.#blob.read(window * bytes.length, bytes);
    const image = { bytes, at: tableBytes(bucket - window * this.#windowBuckets) };
    return this.#damage(bucket, image) ?? this.#windowDamage(window, bytes) ?? newestSlot(bytes, image.at);
  }

  /**
   * Writes all changes and one chunk of a due or running resize, and makes the table durable. The records that the
   * slots name are durable already. With `finish` a running resize is completed first. When it fails, reads still find
   * the heads that they found before.
   */
  sync(epoch: number, options: { readonly finish: boolean }): Promise<void> {
    return this.#writing.run(async () => {
      const sizeBefore = this.#size;
      this.#writings++;
      try {
        await this.#writeAll(epoch, options);
      } catch (error) {
        // The old half has what the digests say, whatever became of the writes; nothing vouches for the new one.
        this.#size = sizeBefore;
        throw error;
      }
      this.#changed.clear();
      this.#mirror?.settled();
      for (let size = sizeBefore; size < this.#size; size *= 2) this.#mirror = this.#mirror?.doubled();
      this.#digests = this.#digestsNext?.copy();
      this.#writings++;
    });
  }

  /** Sets the file to the length that the table has without a resize. Durable on return. */
  async cutToSize(): Promise<void> {
    if (this.#blob.size === tableBytes(this.#size)) return;
    await this.#blob.truncate(tableBytes(this.#size));
    await this.#blob.sync();
  }

  close(): Promise<void> {
    return this.#blob.close();
  }

  async #loadTogether(buckets: readonly number[]): Promise<void> {
    const found = await this.#read(buckets);
    for (const outcome of found) if (outcome instanceof Error) throw outcome;
    for (const [index, bucket] of buckets.entries()) {
      const outcome = present(found[index], 'a bucket');
      if (outcome instanceof Error || outcome.image === undefined || this.#changed.has(bucket)) continue;
      this.#changed.add(bucket, outcome.image.bytes, outcome.image.at);
    }
  }

  async #readHeads(hashes: readonly number[]): Promise<readonly (Head | undefined | Error)[]> {
    const buckets = hashes.map((hash) => this.bucketOf(hash));
    const heads = buckets.map((bucket) => (this.has(bucket) ? this.head(bucket) : missing));
    const absent = buckets.filter((_, index) => heads[index] === missing);
    const found = (await this.#read(absent)).values();
    return heads.map((head) => {
      if (head !== missing) return head;
      const outcome = present(found.next().value, 'a bucket');
      return outcome instanceof Error ? outcome : outcome.head;
    });
  }

  /**
   * Reads the windows of buckets that are not in memory. Few of them are read with their neighbours, so that a mirror is
   * filled in a sixteenth of the reads; when the disk cannot give the neighbours, without them.
   */
  async #read(buckets: readonly number[]): Promise<readonly (ReadBucket | BlobError)[]> {
    if (buckets.length === 0) return [];
    const wanted = new Set(buckets.map((bucket) => this.#windowOf(bucket)));
    if (this.#mirror !== undefined && wanted.size <= runsMax) {
      const runs = new Set(Array.from(wanted, (window) => window - (window % runWindows)));
      try {
        return await this.#readRuns(buckets, runs, Math.min(runWindows, this.#size / this.#windowBuckets));
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
      }
    }
    return this.#readRuns(buckets, wanted, 1);
  }

  /**
   * Reads so many windows from each of `firsts` on. Sound ones are kept in the mirror, unless the file was written
   * meanwhile; one that others brought there meanwhile is taken from it.
   */
  async #readRuns(
    buckets: readonly number[],
    firsts: ReadonlySet<number>,
    count: number,
  ): Promise<readonly (ReadBucket | BlobError)[]> {
    const size = tableBytes(this.#windowBuckets);
    const writings = this.#writings;
    const reads = Array.from(firsts, (first) => ({ offset: first * size, into: Buffer.allocUnsafe(count * size) }));
    await this.#blob.readMany(reads);
    const isStill = writings === this.#writings && writings % 2 === 0;
    const windows = new Map<number, WindowImage>();
    for (const { offset, into } of reads) {
      for (let at = 0; at < into.length; at += size) {
        const window = (offset + at) / size;
        if (this.#mirror?.has(window) === true) continue;
        const bytes = into.subarray(at, at + size);
        const damage = this.#windowDamage(window, bytes);
        const isKept = isStill && damage === undefined && isSound(bytes) && this.#mirror?.load(window, bytes) === true;
        if (!isKept) windows.set(window, { bytes, damage });
      }
    }
    return buckets.map((bucket) => this.#readBucket(bucket, windows.get(this.#windowOf(bucket))));
  }

  #readBucket(bucket: number, window: WindowImage | undefined): ReadBucket | BlobError {
    if (window === undefined) return { head: this.#mirrored().head(bucket), image: undefined };
    const at = tableBytes(bucket - this.#windowOf(bucket) * this.#windowBuckets);
    const image = { bytes: window.bytes, at };
    return this.#damage(bucket, image) ?? window.damage ?? { head: newestSlot(image.bytes, at), image };
  }

  #windowOf(bucket: number): number {
    return Math.floor(bucket / this.#windowBuckets);
  }

  /** Why the heads of a window are not those that were written. A sync may be writing over buckets that changed. */
  #windowDamage(window: number, bytes: Buffer): BlobError | undefined {
    const expected = this.#digests?.of(window);
    if (this.#digests === undefined || digestOf(bytes) === expected) return undefined;
    const first = window * this.#windowBuckets;
    let found = 0;
    for (let index = 0; index < this.#windowBuckets; index++) {
      found += this.#changed.digestBefore(first + index) ?? bucketDigest(bytes, tableBytes(index));
    }
    if (found >>> 0 === expected) return undefined;
    return corruption(`buckets ${first} to ${first + this.#windowBuckets - 1}`, {
      file: this.#blob.path,
      offset: headerSize + tableBytes(first),
      expected: `heads with the digest ${hexOf(expected)}`,
      found: hexOf(found >>> 0),
    });
  }

  /** The writes of a sync, durable on return. */
  async #writeAll(epoch: number, options: { readonly finish: boolean }): Promise<void> {
    await this.#writeBack(epoch);
    while (options.finish && this.#progress !== undefined) await this.#advance(epoch, this.#progress);
    if (this.#progress === undefined && this.#resizable >= Math.floor(this.#size * resizeThreshold))
      await this.#startResize();
    if (this.#progress !== undefined) await this.#advance(epoch, this.#progress);
    await this.#blob.sync();
  }

  async #writeBack(epoch: number): Promise<void> {
    const loaded = this.#changed.buckets;
    const mirrored = this.#mirror?.changedBuckets() ?? new Uint32Array(0);
    const changed = new Uint32Array(loaded.length + mirrored.length);
    changed.set(loaded);
    changed.set(mirrored, loaded.length);
    if (changed.length === 0) return;
    const memory = Buffer.allocUnsafe(Math.min(groupBytesMax, this.#blob.size));
    const patch: PatchBucket = (bytes, at, bucket) => this.#patch(bytes, at, bucket, epoch);
    for (const group of windowsOf(orderedBuckets(changed, this.#progress ?? 0, this.#size))) {
      const writes = await windowWrites(this.#blob, patch, this.#size, group, memory);
      await this.#blob.writeMany(writes);
    }
    for (const bucket of loaded) {
      const from = present(this.#changed.offsetOf(bucket), 'a changed bucket');
      this.#mirror?.set(bucket, newestSlot(this.#changed.bytes, from));
    }
  }

  /** Makes of a changed bucket what it is to be. One that is damaged in the file begins anew: its head is known. */
  #patch(bytes: Buffer, at: number, bucket: number, epoch: number): void {
    const from = this.#changed.offsetOf(bucket);
    if (from !== undefined) {
      this.#changed.bytes.copy(bytes, at, from, from + bucketSize);
      return;
    }
    const head = present(this.#mirrored().head(bucket), 'the head that a put gave');
    if (bucketDamage(bytes, at) !== undefined || (newestSlot(bytes, at)?.epoch ?? 0) > epoch)
      bytes.fill(0, at, at + bucketSize);
    writeSlot(bytes, slotOffset(at, slotForEpoch(bytes, at, epoch)), { ...head, epoch });
  }

  async #startResize(): Promise<void> {
    this.resizes.add();
    if (this.#size >= tableSizeMax) return;
    await this.#blob.truncate(tableBytes(this.#size * 2));
    this.#progress = 0;
  }

  /** Copies one chunk of buckets to the new half, both copies with a fresh count. */
  async #advance(epoch: number, progress: number): Promise<void> {
    const chunkEnd = Math.min(progress + this.#settings.resizeChunkSize, this.#size);
    const memory = Buffer.allocUnsafe(Math.min(resizeStepCount, chunkEnd - progress) * bucketSize);
    for (let bucket = progress; bucket < chunkEnd; bucket += resizeStepCount) {
      const count = Math.min(resizeStepCount, chunkEnd - bucket);
      const bytes = memory.subarray(0, count * bucketSize);
      await this.#blob.read(tableBytes(bucket), bytes);
      for (let index = 0; index < count; index++) {
        this.#mend(bytes, index * bucketSize, bucket + index, epoch);
        this.#reset(bytes, index * bucketSize, epoch);
      }
      const copies: readonly DiskWrite[] = [
        { offset: tableBytes(bucket), bytes },
        { offset: tableBytes(this.#size + bucket), bytes },
      ];
      await this.#blob.writeMany(copies);
      this.#mirror?.resetCounts(bucket, bucket + count);
    }
    if (chunkEnd < this.#size) {
      this.#progress = chunkEnd;
      return;
    }
    this.#size *= 2;
    this.#digestsNext?.double();
    this.#progress = undefined;
  }

  /** A bucket of the file that is not what the mirror knows of it begins anew, so that no rot is copied. */
  #mend(bytes: Buffer, at: number, bucket: number, epoch: number): void {
    if (this.#mirror?.has(this.#windowOf(bucket)) !== true) return;
    const head = this.#mirror.head(bucket);
    if (bucketDamage(bytes, at) === undefined && isSamePlace(newestSlot(bytes, at), head)) return;
    bytes.fill(0, at, at + bucketSize);
    if (head !== undefined) writeSlot(bytes, slotOffset(at, 0), { ...head, epoch });
  }

  /** Starts the bucket's count anew in the epoch's slot. A damaged bucket is carried over as it is: reads report it. */
  #reset(bytes: Buffer, at: number, epoch: number): void {
    if (bucketDamage(bytes, at) !== undefined) return;
    const head = newestSlot(bytes, at);
    if (head === undefined) return;
    if (head.added >= this.#settings.resizeFrequency) {
      assert(this.#resizable > 0, 'resizable counts the buckets that reached the frequency');
      this.#resizable--;
    }
    writeSlot(bytes, slotOffset(at, slotForEpoch(bytes, at, epoch)), { ...head, epoch, added: 0 });
  }

  #checkRoom(buckets: readonly number[], limit: number): void {
    const changed = this.changedCount;
    if (changed + buckets.length <= limit) return;
    const isChanged = (bucket: number): boolean =>
      this.#changed.has(bucket) || this.#mirror?.isChanged(bucket) === true;
    const wanted = new Set(buckets.filter((bucket) => !isChanged(bucket))).size;
    if (changed + wanted <= limit) return;
    throw new FreezerError('sync-required', `${limit} changed buckets are in memory (tableChangesMax): sync first`, {
      retriable: true,
      details: { limit, changed, wanted },
    });
  }

  #damage(bucket: number, { bytes, at }: BucketImage): BlobError | undefined {
    if (bucketDamage(bytes, at) === undefined) return undefined;
    return bucketError(this.#blob.path, bucket, bytes, at);
  }

  #mirrored(): TableMirror {
    return present(this.#mirror, 'the mirror of a bucket in memory');
  }
}

/** Whether no bucket is damaged. */
function isSound(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += bucketSize) if (bucketDamage(bytes, at) !== undefined) return false;
  return true;
}

function hexOf(digest: number | undefined): string {
  return digest === undefined ? 'none' : digest.toString(16).padStart(8, '0');
}

/** The error for a damaged bucket. */
export function bucketError(file: string, bucket: number, bytes: Buffer, at: number): BlobError {
  const damage = bucketDamage(bytes, at);
  const slot = damage?.kind === 'checksum' ? damage.slot : 0;
  const offset = headerSize + tableBytes(bucket) + slotOffset(0, slot);
  return damage?.kind === 'equal-epochs'
    ? corruption(`bucket ${bucket}`, {
        file,
        offset,
        expected: 'slots of two epochs',
        found: `epoch ${readSlot(bytes, at).epoch} twice`,
      })
    : corruption(`bucket ${bucket}`, {
        file,
        offset,
        expected: 'a matching checksum',
        found: bytes.toString('hex', slotOffset(at, slot), slotOffset(at, slot) + bucketSize / 2),
      });
}
