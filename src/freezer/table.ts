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
import { TableMirror } from './table-mirror.ts';
import { orderedBuckets, windowsOf, windowWrites } from './table-write-back.ts';

export interface TableSettings {
  readonly resizeFrequency: number;
  readonly resizeChunkSize: number;
  readonly changesMax: number;
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

export function tableBytes(tableSize: number): number {
  return tableSize * bucketSize;
}

/** A window as it was read, and why its heads cannot be believed. */
interface WindowImage {
  readonly bytes: Buffer;
  readonly damage: BlobError | undefined;
}

/** A bucket somewhere in memory. */
export interface BucketImage {
  readonly bytes: Buffer;
  readonly at: number;
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

  constructor(blob: Blob, settings: TableSettings, size: number, state: TableState) {
    this.#blob = blob;
    this.#settings = settings;
    this.#size = size;
    this.#progress = state.resizeProgress;
    this.#resizable = state.resizable;
    this.initialSize = state.initialSize;
    this.#digests = state.digests;
    this.#digestsNext = state.digests?.copy();
    this.#windowBuckets = state.digests?.windowBuckets ?? Math.min(size, windowBucketsMax);
    this.#mirror = TableMirror.of(size, this.#windowBuckets);
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
    return this.#changed.count;
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
    const missing: number[] = [];
    for (const bucket of buckets) if (!this.#changed.has(bucket)) missing.push(bucket);
    if (missing.length === 0) return;
    this.#checkRoom(missing, changesMax);
    if (missing.length <= loadStepCount) return this.#loadTogether(missing);
    const ordered = Uint32Array.from(missing).sort();
    for (let from = 0; from < ordered.length; from += loadStepCount)
      await this.#loadTogether([...ordered.subarray(from, from + loadStepCount)]);
  }

  /** Chain head of a loaded bucket. */
  head(bucket: number): Slot | undefined {
    return newestSlot(this.#changed.bytes, this.#loaded(bucket));
  }

  /** Makes the record the head of a loaded bucket, whose head so far is `head`. */
  update(
    bucket: number,
    head: Slot | undefined,
    record: { readonly epoch: number; readonly section: number; readonly position: number },
  ): void {
    const at = this.#loaded(bucket);
    const bytes = this.#changed.bytes;
    const added = addedAfterPut(head?.added ?? 0);
    const mirrored = this.#progress !== undefined && bucket < this.#progress;
    if (mirrored) this.unnecessaryWrites.add();
    if (added === this.#settings.resizeFrequency) this.#resizable += mirrored ? 2 : 1;
    writeSlot(bytes, slotOffset(at, slotForEpoch(bytes, at, record.epoch)), { ...record, added });
    this.#digestsNext?.change(bucket, head, record);
  }

  /**
   * The hash's bucket, when it is in memory: changed, or mirrored. Good until the next turn of the event loop.
   * `undefined` says only that `heads` has to be asked.
   */
  peek(hash: number): BucketImage | undefined {
    const bucket = this.bucketOf(hash);
    const at = this.#changed.offsetOf(bucket);
    if (at !== undefined) return { bytes: this.#changed.bytes, at };
    const mirror = this.#mirror;
    return mirror?.has(this.#windowOf(bucket)) === true ? { bytes: mirror.bytes, at: tableBytes(bucket) } : undefined;
  }

  /**
   * One outcome for each hash: the chain head, `undefined` for an empty bucket, or why it cannot be had. `alone` reads no
   * more of the table than that takes: for who asks once, and not for what comes after.
   */
  async heads(
    hashes: readonly number[],
    { alone = false }: { readonly alone?: boolean } = {},
  ): Promise<readonly (Slot | undefined | Error)[]> {
    const heads = await this.#readHeads(hashes, alone);
    const suspects = heads.flatMap((head, index) => (head instanceof Error ? [index] : []));
    if (suspects.length === 0) return heads;
    const again = await this.#writing.run(() =>
      this.#readHeads(
        suspects.map((index) => present(hashes[index], 'a hash')),
        alone,
      ),
    );
    const mended = [...heads];
    for (const [at, index] of suspects.entries()) mended[index] = again[at];
    return mended;
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
    const images = await this.#read(buckets, false);
    for (const image of images) if (image instanceof Error) throw image;
    for (const [index, bucket] of buckets.entries()) {
      const image = present(images[index], 'a bucket');
      if (!(image instanceof Error) && !this.#changed.has(bucket)) this.#changed.add(bucket, image.bytes, image.at);
    }
  }

  async #readHeads(hashes: readonly number[], alone: boolean): Promise<readonly (Slot | undefined | Error)[]> {
    const heads: (Slot | undefined | Error)[] = [];
    const missing: number[] = [];
    const missingAt: number[] = [];
    for (const [index, hash] of hashes.entries()) {
      const bucket = this.bucketOf(hash);
      const offset = this.#changed.offsetOf(bucket);
      heads.push(offset === undefined ? undefined : newestSlot(this.#changed.bytes, offset));
      if (offset !== undefined) continue;
      missing.push(bucket);
      missingAt.push(index);
    }
    if (missing.length === 0) return heads;
    const images = await this.#read(missing, alone);
    for (const [at, index] of missingAt.entries()) {
      const image = present(images[at], 'a bucket');
      heads[index] = image instanceof Error ? image : newestSlot(image.bytes, image.at);
    }
    return heads;
  }

  /** Buckets as they are in the file, or why one cannot be believed. Good until the next turn of the event loop. */
  async #read(buckets: readonly number[], alone: boolean): Promise<readonly (BucketImage | BlobError)[]> {
    // A resize gives a mirror up that would become too large; what it has is good for whoever began to read before.
    const mirror = this.#mirror;
    const windows = await this.#readWindows(buckets, alone);
    return buckets.map((bucket) => {
      const number = this.#windowOf(bucket);
      const window = windows.get(number);
      const image =
        window === undefined
          ? { bytes: present(mirror, 'a mirror').bytes, at: tableBytes(bucket) }
          : { bytes: window.bytes, at: tableBytes(bucket - number * this.#windowBuckets) };
      return window === undefined ? image : (this.#damage(bucket, image) ?? window.damage ?? image);
    });
  }

  /**
   * The buckets' windows that are not in the mirror. Few of them are read with their neighbours, so that a mirror is
   * filled in a sixteenth of the reads; when the disk cannot give the neighbours, without them.
   */
  async #readWindows(buckets: readonly number[], alone: boolean): Promise<ReadonlyMap<number, WindowImage>> {
    const mirror = this.#mirror;
    const wanted = new Set<number>();
    for (const bucket of buckets) {
      const window = this.#windowOf(bucket);
      if (mirror?.has(window) !== true) wanted.add(window);
    }
    if (wanted.size === 0) return new Map();
    if (mirror !== undefined && !alone && wanted.size <= runsMax) {
      const runs = new Set(Array.from(wanted, (window) => window - (window % runWindows)));
      try {
        return await this.#readRuns(runs, Math.min(runWindows, this.#size / this.#windowBuckets));
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
      }
    }
    return this.#readRuns(wanted, 1);
  }

  /** So many windows from each of these on. Sound ones are kept in the mirror, unless the file was written meanwhile. */
  async #readRuns(firsts: ReadonlySet<number>, count: number): Promise<ReadonlyMap<number, WindowImage>> {
    const size = tableBytes(this.#windowBuckets);
    const writings = this.#writings;
    const reads = Array.from(firsts, (first) => ({ offset: first * size, into: Buffer.allocUnsafe(count * size) }));
    await this.#blob.readMany(reads);
    const isStill = writings === this.#writings && writings % 2 === 0;
    const windows = new Map<number, WindowImage>();
    for (const { offset, into } of reads) {
      for (let at = 0; at < into.length; at += size) {
        const window = (offset + at) / size;
        const bytes = into.subarray(at, at + size);
        const damage = this.#windowDamage(window, bytes);
        windows.set(window, { bytes, damage });
        const isNew = this.#mirror?.has(window) === false;
        if (isNew && isStill && damage === undefined && isSound(bytes)) this.#mirror?.load(window, bytes);
      }
    }
    return windows;
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
    await this.#writeBack();
    while (options.finish && this.#progress !== undefined) await this.#advance(epoch, this.#progress);
    if (this.#progress === undefined && this.#resizable >= Math.floor(this.#size * resizeThreshold))
      await this.#startResize();
    if (this.#progress !== undefined) await this.#advance(epoch, this.#progress);
    await this.#blob.sync();
  }

  async #writeBack(): Promise<void> {
    const mirrored = this.#progress ?? 0;
    const order = orderedBuckets(this.#changed, mirrored, this.#size);
    for (const group of windowsOf(order)) {
      const writes = await windowWrites(this.#blob, this.#changed, this.#size, group);
      await this.#blob.writeMany(writes);
    }
    for (const bucket of this.#changed.buckets) {
      const from = present(this.#changed.offsetOf(bucket), 'a changed bucket');
      this.#mirror?.patch(bucket, this.#changed.bytes, from, from + bucketSize);
    }
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
    for (let bucket = progress; bucket < chunkEnd; bucket += resizeStepCount) {
      const count = Math.min(resizeStepCount, chunkEnd - bucket);
      const bytes = Buffer.allocUnsafe(count * bucketSize);
      await this.#blob.read(tableBytes(bucket), bytes);
      this.#mirror?.overlay(bucket, bytes);
      for (let at = 0; at < bytes.length; at += bucketSize) this.#reset(bytes, at, epoch);
      const copies: readonly DiskWrite[] = [
        { offset: tableBytes(bucket), bytes },
        { offset: tableBytes(this.#size + bucket), bytes },
      ];
      await this.#blob.writeMany(copies);
      this.#mirror?.patch(bucket, bytes, 0, bytes.length);
    }
    if (chunkEnd < this.#size) {
      this.#progress = chunkEnd;
      return;
    }
    this.#size *= 2;
    this.#digestsNext?.double();
    this.#progress = undefined;
    this.#mirror = this.#mirror?.doubled();
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

  #checkRoom(missing: readonly number[], limit: number): void {
    const changed = this.#changed.count;
    if (changed + missing.length <= limit) return;
    const wanted = new Set(missing).size;
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

  #loaded(bucket: number): number {
    return present(this.#changed.offsetOf(bucket), 'a loaded bucket');
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
