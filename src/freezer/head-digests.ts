/**
 * What the chain heads of the table add up to, window by window: the one thing that tells a bucket which lost its head
 * from one that never had any, since an empty slot of the format is all zeros. FORMAT.md has no checksum above the slot;
 * this one is ours, and is kept beside the checkpoint.
 *
 * A digest is the sum, modulo 2^32, of a hash of each head of its window. So it follows a put without reading the
 * window, and does not change when a resize copies buckets. Epochs and counts are not in it: they have the slot's own
 * checksum, and which slot they choose shows in the head.
 */
import { assert } from '../base/assert.ts';
import { bucketSize, lowPosition, lowSection, newestSlotAt } from './table-entry.ts';

/** Buckets of a window, unless the table began with fewer. */
export const windowBucketsMax = 64;

/** A chain's head, or none. */
type Head = { readonly section: number; readonly position: number } | undefined;

export class HeadDigests {
  /** A power of two; the same for the life of a table, so that a doubled table has twice as many whole windows. */
  readonly windowBuckets: number;
  #words: Uint32Array;

  constructor(windowBuckets: number, words: Uint32Array) {
    this.windowBuckets = windowBuckets;
    this.#words = words;
  }

  /** Those of a table without any head. */
  static ofEmpty(tableSize: number): HeadDigests {
    const windowBuckets = Math.min(tableSize, windowBucketsMax);
    return new HeadDigests(windowBuckets, new Uint32Array(tableSize / windowBuckets));
  }

  /** Buckets of the table. */
  get tableSize(): number {
    return this.#words.length * this.windowBuckets;
  }

  /** One digest a window. */
  get words(): Uint32Array {
    return this.#words;
  }

  windowOf(bucket: number): number {
    return Math.floor(bucket / this.windowBuckets);
  }

  /** The digest of a window; undefined behind the table's end. */
  of(window: number): number | undefined {
    return this.#words[window];
  }

  /** Takes another head for a bucket. */
  change(bucket: number, from: Head, to: Head): void {
    const window = this.windowOf(bucket);
    assert(window < this.#words.length, 'a bucket of the table');
    this.#words[window] = (this.#words[window] ?? 0) + headDigest(to) - headDigest(from);
  }

  /** Takes the digest of a whole window, modulo 2^32. */
  put(window: number, digest: number): void {
    assert(window < this.#words.length, 'a window of the table');
    this.#words[window] = digest;
  }

  /** The new half of the table is a copy of the old one. */
  double(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    words.set(this.#words, this.#words.length);
    this.#words = words;
  }

  copy(): HeadDigests {
    return new HeadDigests(this.windowBuckets, this.#words.slice());
  }
}

/** What a head adds to its window's digest: 0 for none, and for hardly any head. */
export function headDigest(head: Head): number {
  return head === undefined ? 0 : mixed(head.section, head.position);
}

/** As `headDigest`, of the bucket that starts at `at`, be it damaged or not. */
export function bucketDigest(bytes: Buffer, at: number): number {
  const slot = newestSlotAt(bytes, at);
  return slot === undefined ? 0 : slotDigest(bytes, slot);
}

/** What the head in the slot at `at` adds. */
export function slotDigest(bytes: Buffer, at: number): number {
  return mixed(lowSection(bytes, at), lowPosition(bytes, at));
}

/** Digest of all buckets in `bytes`. */
export function digestOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += bucketSize) sum = (sum + bucketDigest(bytes, at)) | 0;
  return sum >>> 0;
}

/** Section and position are far below 2^32; what lies above does not count. */
function mixed(section: number, position: number): number {
  let hash = Math.imul((section | 0) ^ 0x2545_f491, 0x9e37_79b1);
  hash = Math.imul((hash ^ (hash >>> 15)) + (position | 0), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
