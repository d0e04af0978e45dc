/** Iteration over all records in the order of the archive. */
import { present } from '../base/assert.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { Oversized } from '../journal/oversized.ts';
import { readRecordOf } from './key-record.ts';
import type { Reader, Version } from './reader.ts';
import { recordCount } from './section-size.ts';

export interface StoredRecord<V> extends Version<V> {
  readonly key: Buffer;
  /** The record before it in its bucket's chain. */
  readonly next: RecordPosition | undefined;
}

/** Records that are read together. */
const batchCount = 256;

/** All records up to the present end; what cannot be read is thrown. */
export async function* iterateRecords<V>(
  oversized: Oversized,
  reader: Reader<V>,
  keySize: number,
): AsyncGenerator<StoredRecord<V>> {
  const { end } = oversized;
  for (const section of await oversized.keys.blobs.list()) {
    if (section > end.section) return;
    const count = await recordCount(oversized, keySize, section, end);
    for (let from = 0; from < count; from += batchCount) {
      yield* readBatch(oversized, reader, keySize, section, from, Math.min(count, from + batchCount));
    }
  }
}

async function* readBatch<V>(
  oversized: Oversized,
  reader: Reader<V>,
  keySize: number,
  section: number,
  from: number,
  to: number,
): AsyncGenerator<StoredRecord<V>> {
  const positions = Array.from({ length: to - from }, (_, index) => ({ section, position: from + index }));
  const records = await oversized.keys.readMany(positions);
  for (const [index, bytes] of records.entries()) {
    if (bytes instanceof Error) throw bytes;
    const record = readRecordOf(oversized.keys.blobs.path(section), from + index, bytes, keySize);
    const cursor = { section, offset: record.valueOffset, size: record.valueSize };
    const read = await reader.read(cursor);
    if (read.kind === 'failed') throw read.error;
    if (read.kind === 'missing') continue;
    yield {
      key: record.key,
      next: record.next,
      value: read.value,
      cursor,
      position: present(positions[index], 'a position'),
    };
  }
}
