/**
 * The records behind the checkpoint, as recovery puts them again: the bucket of each, and the record that it hangs on.
 *
 * Beside the records' own bytes, as they were read, memory holds four bytes a record. What was in a bucket at the
 * checkpoint is worked out for all of them when it is asked for first: only a table with damage needs it.
 */
import { crc32c } from '../codec/crc32c.ts';
import type { JournalFiles } from '../journal/journal-files.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { JournalTail, TailStretch } from '../journal/roll-forward.ts';
import { type RecordTail, readRecordTail, readRecordTailOf } from './key-record.ts';

/** Buckets that records behind the checkpoint changed, each with the head that it had there. */
export type ContinuedHeads = Pick<ReadonlyMap<number, RecordPosition | undefined>, 'has' | 'get'>;

export class ReplayedRecords implements ContinuedHeads {
  readonly #keySize: number;
  readonly #recordSize: number;
  readonly stretches: readonly TailStretch[];
  /** One bucket for each record, in their order. */
  readonly buckets: Uint32Array;
  #heads: ReadonlyMap<number, RecordPosition | undefined> | undefined;

  /** A record with a field that no store writes is corruption. */
  constructor(files: JournalFiles, keySize: number, tableSize: number, { stretches }: JournalTail) {
    this.#keySize = keySize;
    this.#recordSize = files.layout.size;
    this.stretches = stretches;
    this.buckets = new Uint32Array(stretches.reduce((sum, { count }) => sum + count, 0));
    let index = 0;
    for (const { section, first, count, bytes } of stretches) {
      const file = files.keys.path(section);
      for (let position = first; position < first + count; position++) {
        const at = (position - first) * this.#recordSize;
        readRecordTailOf(file, position, bytes, at, keySize);
        this.buckets[index++] = crc32c(bytes.subarray(at, at + keySize)) & (tableSize - 1);
      }
    }
  }

  /** What a record of a stretch says beside its key. */
  read({ first, bytes }: TailStretch, position: number): RecordTail {
    return readRecordTail(bytes, (position - first) * this.#recordSize, this.#keySize);
  }

  has(bucket: number): boolean {
    return this.heads.has(bucket);
  }

  /** The record that the first one of a bucket hangs on. */
  get(bucket: number): RecordPosition | undefined {
    return this.heads.get(bucket);
  }

  /** The head at the checkpoint of each bucket that the records changed. */
  get heads(): ReadonlyMap<number, RecordPosition | undefined> {
    this.#heads ??= this.#readHeads();
    return this.#heads;
  }

  #readHeads(): ReadonlyMap<number, RecordPosition | undefined> {
    const heads = new Map<number, RecordPosition | undefined>();
    let index = 0;
    for (const stretch of this.stretches) {
      for (let position = stretch.first; position < stretch.first + stretch.count; position++) {
        const bucket = this.buckets[index++] ?? 0;
        if (!heads.has(bucket)) heads.set(bucket, this.read(stretch, position).next);
      }
    }
    return heads;
  }
}
