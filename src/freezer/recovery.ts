/**
 * Opening after a crash: restores exactly what is durable, or refuses and changes nothing.
 *
 * Everything is verified and replayed in memory before the first byte is written:
 *
 * 1. The journals hold what the checkpoint covers; the parameters read it as it was written.
 * 2. With roll-forward, the records behind the checkpoint are read; nothing at or below the mark is missing.
 * 3. The table is scanned; buckets that the crash or a later fault damaged are mended in memory.
 * 4. The newest records of every section hang on their keys' chains: the files belong together and to this checkpoint.
 * 5. The records are put again, in memory: each must name the head that its bucket has at that moment.
 *
 * Then what was adopted is written again in place and made durable, and what lies beyond is cut. A crash during any
 * of this leaves a store that recovers to the same state. Mended and changed buckets reach the table with the next
 * sync; until then the same recovery finds them again.
 */

import { yieldToLoop } from '../base/yield.ts';
import type { Blob } from '../blob/blob.ts';
import { type BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import { crcSize } from '../codec/crc32c.ts';
import { cut, settle } from '../journal/cut.ts';
import { compareEnds, type JournalEnd } from '../journal/journal-end.ts';
import type { JournalFiles } from '../journal/journal-files.ts';
import { withBlob } from '../journal/journal-files.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import { type JournalTail, readTail } from '../journal/roll-forward.ts';
import { checkFrame } from '../journal/value-log.ts';
import { lastValues, type ValueRange, verifyCommitted } from '../journal/verify-committed.ts';
import type { Checkpoint } from './checkpoint.ts';
import { deriveBuckets } from './derive-buckets.ts';
import type { FrameCoding } from './frame-coding.ts';
import { FreezerError } from './freezer-error.ts';
import type { FreezerHooks } from './hooks.ts';
import { isSamePlace } from './key-record.ts';
import { ReplayedRecords } from './replayed-records.ts';
import type { FreezerSettings } from './settings.ts';
import type { FreezerStart } from './start.ts';
import { Table, type TableSettings, tableBytes } from './table.ts';
import { newestSlot, type Slot } from './table-entry.ts';
import { scanTable } from './table-scan.ts';
import { verifyChains } from './verify-chains.ts';

export type RecoveryStart = Extract<FreezerStart, { kind: 'checkpoint' | 'roll-forward' }>;

export interface Recovered {
  readonly table: Table;
  readonly end: JournalEnd;
}

/** Records replayed between two turns of the event loop. */
const replayStepCount = 4096;

interface Recovery<V> {
  readonly files: JournalFiles;
  readonly blob: Blob;
  readonly settings: FreezerSettings<V>;
  readonly tableSettings: TableSettings;
  readonly start: RecoveryStart;
  readonly hooks: FreezerHooks;
}

/** Recovers to the checkpoint, or behind it with roll-forward. Writes nothing when it throws corruption or mismatch. */
export async function recover<V>(recovery: Recovery<V>, coding: FrameCoding<V>): Promise<Recovered> {
  const { files, blob, start } = recovery;
  const { checkpoint } = start;
  const sealed = start.kind === 'roll-forward' ? start.sealed : undefined;
  const committed = await verifyCommitted(files, checkpoint, sealed);
  await verifyCoding(files, committed, coding);
  verifyTableLength(blob, checkpoint);
  const mark = start.kind === 'roll-forward' ? start.mark : undefined;
  const tail = start.kind === 'roll-forward' ? await readTail(files, committed, mark) : noTail(committed);
  const records = new ReplayedRecords(files, recovery.settings.keySize, checkpoint.tableSize, tail);
  const table = await scanAndMend(recovery, committed, records);
  await verifyChains({
    files,
    table,
    keySize: recovery.settings.keySize,
    epoch: checkpoint.epoch,
    end: committed,
    sealedCount: committed.section,
    sealed,
  });
  await replay(recovery, table, records);
  const durable = mark !== undefined && compareEnds(mark, committed) > 0 ? mark : committed;
  await settle(files, durable, tail.end);
  await cut(files, tail.end);
  await table.cutToSize();
  return { table, end: tail.end };
}

/** Values looked at before the store is believed to be decoded as it was encoded. */
const valueSampleCount = 8;

/**
 * Proves that values are decoded as they were encoded, and that the value file is the section's. One rotten value says
 * nothing and is found when it is read; when there are several and none is good, the file is another's.
 */
export async function verifyCoding<V>(files: JournalFiles, end: JournalEnd, coding: FrameCoding<V>): Promise<void> {
  const values = await lastValues(files, end, valueSampleCount);
  const file = files.values.path(end.section);
  let rotten: BlobError | undefined;
  for (const { offset, size } of values) {
    const data = await readFrame(files, end, { offset, size });
    if (data instanceof Error) {
      rotten ??= data;
      continue;
    }
    const found = await coding.misread(data);
    if (found === undefined) return;
    const expected = coding.compresses ? 'values compressed with zstd' : 'values without compression';
    throw new FreezerError(
      'invalid-settings',
      `valueCompression or value codec: ${file} at ${offset + headerSize}: expected ${expected}, found ${found}`,
      { details: { file, offset: offset + headerSize, expected, found } },
    );
  }
  if (values.length > 1 && rotten !== undefined) throw rotten;
}

async function readFrame(files: JournalFiles, end: JournalEnd, value: ValueRange): Promise<Buffer | BlobError> {
  const file = files.values.path(end.section);
  if (value.size < crcSize || value.offset + value.size > end.valueBytes) {
    const expected = `a value within ${end.valueBytes} bytes`;
    return corruption('value', { file, offset: headerSize, expected, found: `${value.size} at ${value.offset}` });
  }
  const frame = Buffer.allocUnsafe(value.size);
  await withBlob(files.values, end.section, (blob) => blob.read(value.offset, frame));
  return checkFrame(frame, file, value.offset);
}

function noTail(end: JournalEnd): JournalTail {
  return { stretches: [], end, stop: 'the checkpoint' };
}

/** A sync at most doubles the table; one that closes the store may also finish a doubling first. */
const growthMax = 4;

function verifyTableLength(blob: Blob, { tableSize }: Checkpoint): void {
  if (blob.size >= tableBytes(tableSize) && blob.size <= tableBytes(tableSize * growthMax)) return;
  throw corruption('table', {
    file: blob.path,
    offset: headerSize + blob.size,
    expected: `${tableSize} buckets in ${tableBytes(tableSize)} bytes, at most ${growthMax} times as many in a resize`,
    found: `${blob.size} bytes`,
  });
}

/** The table as of the checkpoint: what the file has, and in memory what must be taken in its place. */
async function scanAndMend<V>(recovery: Recovery<V>, committed: JournalEnd, records: ReplayedRecords): Promise<Table> {
  const { blob, settings, start, files, tableSettings, hooks } = recovery;
  const { checkpoint } = start;
  const saved = start.kind === 'roll-forward' ? start.table : undefined;
  const scan = await scanTable(blob, {
    checkpoint,
    end: committed,
    recordSize: files.layout.size,
    resizeFrequency: settings.tableResizeFrequency,
    mirrorBytesMax: tableSettings.mirrorBytesMax,
    touched: records,
    stepBytes: settings.tableReplayBuffer,
    digests: saved?.digests,
    progress: hooks.progress,
  });
  const { digests, underivable: buckets, mended, mirror } = scan;
  const isVouched = saved?.digests !== undefined;
  const { keySize } = settings;
  const derived = await deriveBuckets(
    { files, blob, keySize, checkpoint, committed, touched: records, isVouched, hooks },
    buckets,
  );
  const heads = derived.map(({ bytes }) => newestSlot(bytes, 0));
  for (const [index, { bucket }] of derived.entries()) digests.change(bucket, undefined, heads[index]);
  const isResizable = (head: Slot | undefined): boolean => (head?.added ?? 0) >= settings.tableResizeFrequency;
  const resizable = scan.resizable + heads.filter(isResizable).length;
  const state = { resizeProgress: undefined, resizable, initialSize: saved?.initialSize ?? 1, digests };
  const table = new Table(blob, tableSettings, checkpoint.tableSize, state, mirror);
  for (const { bucket, bytes } of [...mended, ...derived]) table.override(bucket, bytes, 0);
  return table;
}

/** Puts the records behind the checkpoint again, into the table in memory. */
async function replay<V>(recovery: Recovery<V>, table: Table, records: ReplayedRecords): Promise<void> {
  const epoch = recovery.start.checkpoint.epoch + 1;
  await table.load(new Set(records.buckets.filter((bucket) => !table.has(bucket))), Number.POSITIVE_INFINITY);
  let index = 0;
  for (const stretch of records.stretches) {
    for (let position = stretch.first; position < stretch.first + stretch.count; position++) {
      const at = { section: stretch.section, position };
      const record = records.read(stretch, position);
      const bucket = records.buckets[index] ?? 0;
      const head = table.head(bucket);
      if (!isSamePlace(head, record.next)) throw strayRecord(recovery, at, head, record.next);
      table.update(bucket, head, { epoch, section: at.section, position });
      if (++index % replayStepCount === 0) await yieldToLoop();
    }
  }
}

function strayRecord<V>(
  { files, blob }: Recovery<V>,
  at: RecordPosition,
  head: RecordPosition | undefined,
  next: RecordPosition | undefined,
): BlobError {
  const page = Math.floor((at.position * files.layout.size) / files.pageSize);
  return corruption(`record ${at.position} does not follow its bucket's head in ${blob.path}`, {
    file: files.keys.path(at.section),
    offset: headerSize + page * physicalPageSize(files.pageSize),
    expected: head === undefined ? 'no next record' : `next ${head.section}/${head.position}`,
    found: next === undefined ? 'none' : `${next.section}/${next.position}`,
  });
}
