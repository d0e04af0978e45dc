/**
 * Opening after a crash: restores exactly what is durable, or refuses and changes nothing.
 *
 * Everything is verified and replayed in memory before the first byte is written:
 *
 * 1. The journals hold what the checkpoint covers; the parameters read it as it was written.
 * 2. With roll-forward, the records behind the checkpoint are read; nothing at or below the mark is missing.
 * 3. The table is scanned; buckets that the crash or a later fault damaged are mended in memory.
 * 4. The last record of every section hangs on its key's chain: the files belong together and to this checkpoint.
 * 5. The records are put again, in memory: each must name the head that its bucket has at that moment.
 *
 * Then what was adopted is written again in place and made durable, and what lies beyond is cut. A crash during any
 * of this leaves a store that recovers to the same state. Mended and changed buckets reach the table with the next
 * sync; until then the same recovery finds them again.
 */
import { present } from '../base/assert.ts';
import { messageOf } from '../base/errors.ts';
import type { Blob } from '../blob/blob.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { crc32c } from '../codec/crc32c.ts';
import { cut, settle } from '../journal/cut.ts';
import { compareEnds, type JournalEnd } from '../journal/journal-end.ts';
import type { JournalFiles } from '../journal/journal-files.ts';
import { withBlob } from '../journal/journal-files.ts';
import { KeyIndex, type RecordPosition } from '../journal/key-index.ts';
import { type JournalTail, readTail } from '../journal/roll-forward.ts';
import { checkFrame } from '../journal/value-log.ts';
import { lastValue, verifyCommitted } from '../journal/verify-committed.ts';
import type { Checkpoint } from './checkpoint.ts';
import { visitKeys } from './derive-heads.ts';
import type { FrameCoding } from './frame-coding.ts';
import { FreezerError } from './freezer-error.ts';
import type { FreezerHooks } from './hooks.ts';
import { isBefore, type KeyRecord, readRecordOf } from './key-record.ts';
import type { FreezerSettings } from './settings.ts';
import type { FreezerStart } from './start.ts';
import { Table, type TableSettings, tableBytes } from './table.ts';
import { bucketSize, slotOffset, writeSlot } from './table-entry.ts';
import { type MendedBucket, type ScanResult, scanTable } from './table-scan.ts';

export type RecoveryStart = Extract<FreezerStart, { kind: 'checkpoint' | 'roll-forward' }>;

export interface Recovered {
  readonly table: Table;
  readonly end: JournalEnd;
}

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
  const table = await scanAndMend(recovery, committed, tail);
  await verifyChains(recovery, table, committed);
  await replay(recovery, table, tail);
  const durable = mark !== undefined && compareEnds(mark, committed) > 0 ? mark : committed;
  await settle(files, durable, tail.end);
  await cut(files, tail.end);
  await table.cutToSize();
  return { table, end: tail.end };
}

/** Proves that values are decoded as they were encoded. A rotten value says nothing and is found when it is read. */
export async function verifyCoding<V>(files: JournalFiles, end: JournalEnd, coding: FrameCoding<V>): Promise<void> {
  const value = await lastValue(files, end);
  if (value === undefined) return;
  const frame = Buffer.allocUnsafe(value.size);
  await withBlob(files.values, end.section, (blob) => blob.read(value.offset, frame));
  const data = checkFrame(frame, files.values.path(end.section), value.offset);
  if (data instanceof Error) return;
  try {
    await coding.decode(data);
  } catch (error) {
    const expected = coding.compresses ? 'values compressed with zstd' : 'values without compression';
    throw new FreezerError(
      'invalid-settings',
      `valueCompression or value codec: expected ${expected}, found others: ${messageOf(error)}`,
      {
        details: { file: files.values.path(end.section), offset: value.offset + headerSize, expected },
        cause: error,
      },
    );
  }
}

function noTail(end: JournalEnd): JournalTail {
  return { records: [], end, stop: 'the checkpoint' };
}

function verifyTableLength(blob: Blob, { tableSize }: Checkpoint): void {
  if (blob.size >= tableBytes(tableSize)) return;
  throw corruption('table', {
    file: blob.path,
    offset: headerSize + blob.size,
    expected: `${tableSize} buckets in ${tableBytes(tableSize)} bytes`,
    found: `${blob.size} bytes`,
  });
}

/** The table as of the checkpoint: what the file has, and in memory what must be taken in its place. */
async function scanAndMend<V>(recovery: Recovery<V>, committed: JournalEnd, tail: JournalTail): Promise<Table> {
  const { blob, settings, start, files, tableSettings, hooks } = recovery;
  const { checkpoint } = start;
  const from = (start.kind === 'roll-forward' ? start.resizeProgress : undefined) ?? 0;
  const scan = await scanTable(blob, {
    checkpoint,
    end: committed,
    recordSize: files.layout.size,
    resizeFrequency: settings.tableResizeFrequency,
    touched: touchedBuckets(recovery, tail),
    chunk: start.kind === 'roll-forward' ? { from, to: from + settings.tableResizeChunkSize } : { from: 0, to: 0 },
    stepBytes: settings.tableReplayBuffer,
    progress: hooks.progress,
  });
  const derived = await deriveBuckets(recovery, committed, scan);
  const table = new Table(blob, tableSettings, checkpoint.tableSize, {
    resizeProgress: undefined,
    resizable: scan.resizable,
  });
  for (const { bucket, bytes } of [...scan.mended, ...derived]) table.override(bucket, bytes, 0);
  return table;
}

function touchedBuckets<V>(recovery: Recovery<V>, tail: JournalTail): Map<number, RecordPosition | undefined> {
  const { tableSize } = recovery.start.checkpoint;
  const touched = new Map<number, RecordPosition | undefined>();
  for (const at of tail.records) {
    const record = recordAt(recovery, at, at.bytes);
    const bucket = (crc32c(record.key) & (tableSize - 1)) >>> 0;
    if (!touched.has(bucket)) touched.set(bucket, record.next);
  }
  return touched;
}

function recordAt<V>({ files, settings }: Recovery<V>, at: RecordPosition, bytes: Buffer): KeyRecord {
  return readRecordOf(files.keys.path(at.section), at.position, bytes, settings.keySize);
}

/** Heads of buckets that the table cannot tell, from one pass over the key index. */
async function deriveBuckets<V>(
  recovery: Recovery<V>,
  committed: JournalEnd,
  scan: ScanResult,
): Promise<readonly MendedBucket[]> {
  if (scan.underivable.length === 0) return [];
  const { checkpoint } = recovery.start;
  const heads = new Map<number, RecordPosition | undefined>(scan.underivable.map(({ bucket }) => [bucket, undefined]));
  const visit = (hash: number, section: number, position: number): void => {
    const bucket = (hash & (checkpoint.tableSize - 1)) >>> 0;
    if (heads.has(bucket)) heads.set(bucket, { section, position });
  };
  await visitKeys(recovery.files, recovery.settings.keySize, committed, visit, recovery.hooks.progress);
  recovery.hooks.logger?.warn({ buckets: heads.size }, 'damaged buckets derived from the key index');
  return scan.underivable.map(({ bucket }) => {
    const bytes = Buffer.alloc(bucketSize);
    const head = heads.get(bucket);
    if (head !== undefined)
      writeSlot(bytes, slotOffset(0, 0), { epoch: Math.max(1, checkpoint.epoch), ...head, added: 0 });
    return { bucket, bytes };
  });
}

/** Each section's last record must be found from its key: else files were swapped, or the checkpoint is another's. */
async function verifyChains<V>(recovery: Recovery<V>, table: Table, committed: JournalEnd): Promise<void> {
  const { files } = recovery;
  const index = new KeyIndex(files.keys, { pageSize: files.pageSize, recordSize: files.layout.size, cachePages: 64 });
  for (let section = 0; section <= committed.section; section++) {
    const bytes = section === committed.section ? committed.keyBytes : await index.sealedSize(section);
    if (bytes > 0) await verifyChain(recovery, index, table, { section, position: bytes / files.layout.size - 1 });
  }
}

async function verifyChain<V>(
  recovery: Recovery<V>,
  index: KeyIndex,
  table: Table,
  target: RecordPosition,
): Promise<void> {
  const [wanted] = await index.readMany([target]);
  if (wanted === undefined || wanted instanceof Error)
    throw wanted ?? new FreezerError('corruption', 'no outcome of a read');
  const [head] = await table.heads([crc32c(recordAt(recovery, target, wanted).key)]);
  if (head instanceof Error) throw head;
  let at: RecordPosition | undefined = head;
  while (at !== undefined && isBefore(target, at)) {
    const [bytes] = await index.readMany([at]);
    // A rotten record hides the rest of its chain; reads report it for the keys that it concerns.
    if (bytes instanceof Error) return;
    const { next }: KeyRecord = recordAt(recovery, at, present(bytes, 'a record'));
    if (next !== undefined && !isBefore(next, at)) break;
    at = next;
  }
  if (at?.section === target.section && at.position === target.position) return;
  throw new FreezerError(
    'checkpoint-mismatch',
    `${index.blobs.path(target.section)}: record ${target.position} is on no chain of the table: files or checkpoint of another store or time`,
    {
      details: {
        file: index.blobs.path(target.section),
        position: target.position,
        expected: 'the record on its chain',
        found: 'none',
      },
    },
  );
}

/** Puts the records behind the checkpoint again, into the table in memory. */
async function replay<V>(recovery: Recovery<V>, table: Table, tail: JournalTail): Promise<void> {
  const { start, files } = recovery;
  const records = tail.records.map((at) => ({ ...at, ...recordAt(recovery, at, at.bytes) }));
  await table.load(
    records.map(({ key }) => table.bucketOf(crc32c(key))),
    Number.POSITIVE_INFINITY,
  );
  for (const { key, next, section, position } of records) {
    const bucket = table.bucketOf(crc32c(key));
    const head = table.head(bucket);
    if (head?.section !== next?.section || head?.position !== next?.position) {
      throw corruption(`record ${position} does not follow its bucket's head`, {
        file: files.keys.path(section),
        offset: headerSize,
        expected: head === undefined ? 'no next record' : `next ${head.section}/${head.position}`,
        found: next === undefined ? 'none' : `${next.section}/${next.position}`,
      });
    }
    table.update(bucket, head, { epoch: start.checkpoint.epoch + 1, section, position });
  }
}
