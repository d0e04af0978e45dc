/**
 * Buckets whose slots changed since the last sync, as they will be on disk. Bounded by the settings' `tableChangesMax`:
 * 58 bytes a bucket and an entry of a map.
 */
import { bucketSize } from './table-entry.ts';

const initialCount = 256;

export class ChangedBuckets {
  readonly #offsets = new Map<number, number>();
  #bytes: Buffer = Buffer.alloc(initialCount * bucketSize);

  get count(): number {
    return this.#offsets.size;
  }

  /** Holds the buckets; an offset stays valid until `clear`, the buffer only until the next `add`. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  has(bucket: number): boolean {
    return this.#offsets.has(bucket);
  }

  /** Offset of the bucket in `bytes`. */
  offsetOf(bucket: number): number | undefined {
    return this.#offsets.get(bucket);
  }

  /** Takes a copy of the bucket that starts at `at` in `from`. */
  add(bucket: number, from: Buffer, at: number): void {
    const offset = this.#offsets.size * bucketSize;
    if (offset + bucketSize > this.#bytes.length) {
      const grown = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    from.copy(this.#bytes, offset, at, at + bucketSize);
    this.#offsets.set(bucket, offset);
  }

  /** Bucket numbers and offsets, in no order. */
  entries(): MapIterator<[number, number]> {
    return this.#offsets.entries();
  }

  clear(): void {
    this.#offsets.clear();
    if (this.#bytes.length > initialCount * bucketSize) this.#bytes = Buffer.alloc(initialCount * bucketSize);
  }
}
