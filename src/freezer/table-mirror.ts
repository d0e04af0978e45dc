/**
 * The chain heads of a table in memory, window by window as they are read, so that a put or a get of a warm table asks the
 * disk for nothing. Nine bytes a bucket instead of the 58 that it has on disk: a put needs the head and the count, and the
 * slot that it goes to is chosen when a sync writes it. A table that outgrew the limit has no mirror, and reads a window for
 * a bucket.
 *
 * Invariant: the heads of a window that is here are those that were written, and what puts made of them since: it was held
 * against its digest and its checksums when it was read, and nothing that was read later is put over it.
 */
import { assert } from '../base/assert.ts';
import { bucketSize, isOfLowNumbers, lowPosition, lowSection, newestSlotAt, slotAdded } from './table-entry.ts';

/** Head of a bucket's chain, and the puts that the bucket has seen since its last reset. */
export interface Head {
  readonly section: number;
  readonly position: number;
  readonly added: number;
}

/** Bytes of memory up to which a table is mirrored: 2^22 buckets. */
export const mirrorBytesMax = 40 * 1024 * 1024;

/** Section, position and count of a head; window and changed marks are small change. */
const headBytes = 9;
/** In the place of a section: the bucket is empty. */
const noSection = 0xffff_ffff;
const wordBits = 32;

/** Sections and positions from here on are not mirrored. */
export const mirroredNumberMax = noSection - 1;

export class TableMirror {
  readonly #tableSize: number;
  readonly #windowBuckets: number;
  readonly #bytesMax: number;
  readonly #sections: Uint32Array;
  readonly #positions: Uint32Array;
  readonly #added: Uint8Array;
  readonly #isLoaded: Uint8Array;
  /** A bit a bucket: whether a put changed it since the last sync. */
  readonly #changed: Uint32Array;
  #changedCount = 0;

  private constructor(tableSize: number, windowBuckets: number, bytesMax: number) {
    this.#tableSize = tableSize;
    this.#windowBuckets = windowBuckets;
    this.#bytesMax = bytesMax;
    this.#sections = new Uint32Array(tableSize);
    this.#positions = new Uint32Array(tableSize);
    this.#added = new Uint8Array(tableSize);
    this.#isLoaded = new Uint8Array(tableSize / windowBuckets);
    this.#changed = new Uint32Array(Math.ceil(tableSize / wordBits));
  }

  /** An empty mirror, or none when the table is too large for one. */
  static of(tableSize: number, windowBuckets: number, bytesMax = mirrorBytesMax): TableMirror | undefined {
    return tableSize * headBytes <= bytesMax ? new TableMirror(tableSize, windowBuckets, bytesMax) : undefined;
  }

  /** Buckets that puts changed since the last sync. */
  get changedCount(): number {
    return this.#changedCount;
  }

  has(window: number): boolean {
    return this.#isLoaded[window] === 1;
  }

  /** Takes the heads of a window as it is in the file. False when one of them does not fit: then the window is not here. */
  load(window: number, bytes: Buffer): boolean {
    let bucket = window * this.#windowBuckets;
    for (let at = 0; at < bytes.length; at += bucketSize, bucket++) {
      const newest = newestSlotAt(bytes, at);
      if (newest !== undefined && !fits(bytes, newest)) return false;
      this.#sections[bucket] = newest === undefined ? noSection : lowSection(bytes, newest);
      this.#positions[bucket] = newest === undefined ? 0 : lowPosition(bytes, newest);
      this.#added[bucket] = newest === undefined ? 0 : slotAdded(bytes, newest);
    }
    this.#isLoaded[window] = 1;
    return true;
  }

  /** Chain head of a bucket whose window is here. */
  head(bucket: number): Head | undefined {
    const section = this.#sections[bucket] ?? noSection;
    if (section === noSection) return undefined;
    return { section, position: this.#positions[bucket] ?? 0, added: this.#added[bucket] ?? 0 };
  }

  /** Takes a head as it is in the file now. */
  set(bucket: number, head: Head | undefined): void {
    this.#sections[bucket] = head?.section ?? noSection;
    this.#positions[bucket] = head?.position ?? 0;
    this.#added[bucket] = head?.added ?? 0;
  }

  /** Takes the head that a put gives the bucket, for the next sync to write. */
  change(bucket: number, head: Head): void {
    assert(
      Math.max(head.section, head.position) <= mirroredNumberMax,
      'a head that is mirrored has numbers of 32 bits',
    );
    this.set(bucket, head);
    if (this.isChanged(bucket)) return;
    this.#changed[bucket >>> 5] = (this.#changed[bucket >>> 5] ?? 0) | (1 << (bucket & 31));
    this.#changedCount++;
  }

  isChanged(bucket: number): boolean {
    return ((this.#changed[bucket >>> 5] ?? 0) & (1 << (bucket & 31))) !== 0;
  }

  /** Numbers of the changed buckets, ascending. */
  changedBuckets(): Uint32Array {
    const buckets = new Uint32Array(this.#changedCount);
    let count = 0;
    for (let index = 0; index < this.#changed.length; index++) {
      for (let rest = this.#changed[index] ?? 0; rest !== 0; rest &= rest - 1) {
        buckets[count++] = index * wordBits + (wordBits - 1 - Math.clz32(rest & -rest));
      }
    }
    assert(count === this.#changedCount, 'each changed bucket is counted once');
    return buckets;
  }

  /** What puts changed is in the file, and durable. */
  settled(): void {
    this.#changed.fill(0);
    this.#changedCount = 0;
  }

  /** Counts of the buckets begin anew. */
  resetCounts(from: number, to: number): void {
    this.#added.fill(0, from, to);
  }

  /** The mirror of the table when its new half is a copy of the old one. Nothing is changed. */
  doubled(): TableMirror | undefined {
    assert(this.#changedCount === 0, 'a table is doubled when all is written');
    const mirror = TableMirror.of(this.#tableSize * 2, this.#windowBuckets, this.#bytesMax);
    if (mirror === undefined) return undefined;
    for (const half of [0, 1]) {
      mirror.#sections.set(this.#sections, half * this.#tableSize);
      mirror.#positions.set(this.#positions, half * this.#tableSize);
      mirror.#added.set(this.#added, half * this.#tableSize);
      mirror.#isLoaded.set(this.#isLoaded, half * this.#isLoaded.length);
    }
    return mirror;
  }
}

/** Whether the mirror has room for the numbers of a slot. */
function fits(bytes: Buffer, at: number): boolean {
  return isOfLowNumbers(bytes, at) && Math.max(lowSection(bytes, at), lowPosition(bytes, at)) <= mirroredNumberMax;
}
