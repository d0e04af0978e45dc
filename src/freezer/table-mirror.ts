/**
 * A copy in memory of a table that is small enough, window by window as they are read, so that a put or a get of a warm
 * table asks the disk for nothing. A table that outgrew the limit has none, and reads a window for a bucket.
 *
 * Invariant: a window that is here is what was written, but for buckets that are among the changed ones: it was held
 * against its digest and its checksums when it was read, and nothing that was read later is put over it.
 */
import { bucketSize } from './table-entry.ts';

/** Bytes of table up to which it is mirrored. */
export const mirrorBytesMax = 32 * 1024 * 1024;

export class TableMirror {
  readonly #tableSize: number;
  readonly #windowBuckets: number;
  readonly bytes: Buffer;
  readonly #isLoaded: Uint8Array;

  private constructor(tableSize: number, windowBuckets: number) {
    this.#tableSize = tableSize;
    this.#windowBuckets = windowBuckets;
    this.bytes = Buffer.alloc(tableSize * bucketSize);
    this.#isLoaded = new Uint8Array(tableSize / windowBuckets);
  }

  /** An empty mirror, or none when the table is too large for one. */
  static of(tableSize: number, windowBuckets: number): TableMirror | undefined {
    return tableSize * bucketSize <= mirrorBytesMax ? new TableMirror(tableSize, windowBuckets) : undefined;
  }

  has(window: number): boolean {
    return this.#isLoaded[window] === 1;
  }

  /** Takes a window as it is in the file. */
  load(window: number, bytes: Buffer): void {
    bytes.copy(this.bytes, window * this.#windowBuckets * bucketSize);
    this.#isLoaded[window] = 1;
  }

  /** Puts the buckets that are here in the place of those in `into`, which begins with bucket `first`. */
  overlay(first: number, into: Buffer): void {
    const count = into.length / bucketSize;
    for (let bucket = first; bucket < first + count; ) {
      const window = Math.floor(bucket / this.#windowBuckets);
      const end = Math.min(first + count, (window + 1) * this.#windowBuckets);
      if (this.has(window)) this.bytes.copy(into, (bucket - first) * bucketSize, bucket * bucketSize, end * bucketSize);
      bucket = end;
    }
  }

  /** Takes buckets as they are in the file now. */
  patch(bucket: number, from: Buffer, start: number, end: number): void {
    from.copy(this.bytes, bucket * bucketSize, start, end);
  }

  /** The mirror of the table when its new half is a copy of the old one. */
  doubled(): TableMirror | undefined {
    const mirror = TableMirror.of(this.#tableSize * 2, this.#windowBuckets);
    if (mirror === undefined) return undefined;
    for (const half of [0, 1]) {
      this.bytes.copy(mirror.bytes, half * this.bytes.length);
      mirror.#isLoaded.set(this.#isLoaded, half * this.#isLoaded.length);
    }
    return mirror;
  }
}
