/**
 * Buckets whose slots changed since the last sync, as they will be on disk. Bounded by the settings' `tableChangesMax`:
 * 58 bytes a bucket, 8 for its number and digest, and at most 16 in an open-addressed map from numbers to places.
 */
import { assert } from '../base/assert.ts';
import { bucketDigest } from './head-digests.ts';
import { bucketSize } from './table-entry.ts';

const initialCapacity = 256;
/** Room for so many buckets is kept from one sync to the next. */
const keptCapacity = 32_768;
/** A multiplicative hash: neighbours land far from each other. */
const multiplier = 0x9e37_79b1;

export class ChangedBuckets {
  #capacity = 0;
  #count = 0;
  #bytes: Buffer = Buffer.alloc(0);
  /** Bucket numbers by place. */
  #buckets = new Uint32Array(0);
  /** Digest of each bucket when it was added, by place. */
  #digests = new Uint32Array(0);
  /** Twice as many cells as there is room for buckets: a bucket's place plus one, or 0. */
  #cells = new Uint32Array(0);

  constructor() {
    this.#resize(initialCapacity);
  }

  get count(): number {
    return this.#count;
  }

  /** Holds the buckets; an offset stays valid until `clear`, the buffer only until the next `add`. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  has(bucket: number): boolean {
    return this.#cells[this.#cellOf(bucket)] !== 0;
  }

  /** Offset of the bucket in `bytes`. */
  offsetOf(bucket: number): number | undefined {
    const place = this.#cells[this.#cellOf(bucket)] ?? 0;
    return place === 0 ? undefined : (place - 1) * bucketSize;
  }

  /** What the bucket added to the digest of its window before it changed; undefined when it is not here. */
  digestBefore(bucket: number): number | undefined {
    const place = this.#cells[this.#cellOf(bucket)] ?? 0;
    return place === 0 ? undefined : this.#digests[place - 1];
  }

  /** Takes a copy of the bucket, which is not here yet, that starts at `at` in `from`. */
  add(bucket: number, from: Buffer, at: number): void {
    if (this.#count === this.#capacity) this.#resize(this.#capacity * 2);
    const cell = this.#cellOf(bucket);
    assert(this.#cells[cell] === 0, 'a bucket is added once');
    from.copy(this.#bytes, this.#count * bucketSize, at, at + bucketSize);
    this.#buckets[this.#count] = bucket;
    this.#digests[this.#count] = bucketDigest(from, at);
    this.#count++;
    this.#cells[cell] = this.#count;
  }

  /** Bucket numbers, in the order in which they were added. */
  get buckets(): Uint32Array {
    return this.#buckets.subarray(0, this.#count);
  }

  clear(): void {
    this.#count = 0;
    if (this.#capacity > keptCapacity) this.#resize(initialCapacity);
    else this.#cells.fill(0);
  }

  /** The cell that holds the bucket, or the free one where it would go. */
  #cellOf(bucket: number): number {
    const mask = this.#cells.length - 1;
    let cell = (Math.imul(bucket, multiplier) >>> 7) & mask;
    for (let place = this.#cells[cell] ?? 0; place !== 0; place = this.#cells[cell] ?? 0) {
      if (this.#buckets[place - 1] === bucket) return cell;
      cell = (cell + 1) & mask;
    }
    return cell;
  }

  /** Makes room for so many buckets, a power of two, and keeps those that are here. */
  #resize(capacity: number): void {
    const kept = this.#count * bucketSize;
    const bytes = Buffer.allocUnsafeSlow(capacity * bucketSize);
    this.#bytes.copy(bytes, 0, 0, kept);
    const buckets = new Uint32Array(capacity);
    buckets.set(this.buckets);
    const digests = new Uint32Array(capacity);
    digests.set(this.#digests.subarray(0, this.#count));
    this.#capacity = capacity;
    this.#bytes = bytes;
    this.#buckets = buckets;
    this.#digests = digests;
    this.#cells = new Uint32Array(capacity * 2);
    for (let index = 0; index < this.#count; index++) {
      this.#cells[this.#cellOf(buckets[index] ?? 0)] = index + 1;
    }
  }
}
