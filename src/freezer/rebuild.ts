/**
 * The table is disposable: this makes it anew from the key index alone.
 *
 * The new table is written beside the old one, made durable, and moved over it; a crash on the way leaves the old one.
 * Counts of puts a bucket start at 0, as after a resize.
 *
 * Two buckets that a resize made share a chain: the head of one may be a record of the other, and the records put since
 * then continue it there. Where there are such records behind the checkpoint, the first of a bucket names its head.
 */
import { type Blob, createBlob } from '../blob/blob.ts';
import type { Disk } from '../disk/disk.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { closeJournalFiles, type JournalFiles, journalFiles } from '../journal/journal-files.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import { readTail } from '../journal/roll-forward.ts';
import { verifyCommitted } from '../journal/verify-committed.ts';
import type { Checkpoint } from './checkpoint.ts';
import { visitKeys } from './derive-heads.ts';
import { HeadDigests } from './head-digests.ts';
import type { FreezerHooks } from './hooks.ts';
import { isBefore, recordLayout } from './key-record.ts';
import { checkCheckpoint } from './open.ts';
import { ReplayedRecords } from './replayed-records.ts';
import type { FreezerSettings } from './settings.ts';
import { checkSettings } from './settings-check.ts';
import { tableBytes } from './table.ts';
import { bucketSize, writeSlot } from './table-entry.ts';
import { tableFile, tableName } from './table-file.ts';

/** Buckets of one pass over the key index: sixteen bytes of memory each. */
const passCount = 1 << 22;
const writeStepCount = 4096;
/** Marks a bucket without a record. */
const none = -1;

/**
 * Writes the table that the records up to the checkpoint make, with the checkpoint's size, and gives its digests. Nobody
 * has the store open. Records that cannot be read are corruption: then the old table stays.
 */
export async function rebuildTable<V>(
  disk: Disk,
  settings: FreezerSettings<V>,
  checkpoint: Checkpoint,
  hooks: FreezerHooks = {},
): Promise<HeadDigests> {
  checkSettings(settings);
  checkCheckpoint(checkpoint);
  const layout = recordLayout(settings.keySize);
  const files = journalFiles(disk, { ...settings, pageSize: settings.keyPageCache.pageSize }, layout);
  const fresh = `${tableName}.rebuild`;
  const digests = HeadDigests.ofEmpty(checkpoint.tableSize);
  try {
    const end = await verifyCommitted(files, checkpoint, undefined);
    const tail = await readTail(files, end, undefined);
    const continued = new ReplayedRecords(files, settings.keySize, checkpoint.tableSize, tail).heads;
    const blob = await createBlob(disk, settings.tablePartition, fresh);
    try {
      await blob.truncate(tableBytes(checkpoint.tableSize));
      await writeHeads({ blob, digests }, files, settings.keySize, checkpoint, end, continued, hooks);
      await blob.sync();
    } finally {
      await blob.close();
    }
    await disk.rename(`${settings.tablePartition}/${fresh}`, tableFile(settings));
    await disk.syncDirectory(settings.tablePartition);
    return digests;
  } finally {
    await closeJournalFiles(files);
  }
}

/** The table that is being made. */
interface FreshTable {
  readonly blob: Blob;
  readonly digests: HeadDigests;
}

async function writeHeads(
  table: FreshTable,
  files: JournalFiles,
  keySize: number,
  checkpoint: Checkpoint,
  end: JournalEnd,
  continued: ReadonlyMap<number, RecordPosition | undefined>,
  hooks: FreezerHooks,
): Promise<void> {
  const { tableSize } = checkpoint;
  for (let first = 0; first < tableSize; first += passCount) {
    const count = Math.min(passCount, tableSize - first);
    const sections = new Float64Array(count).fill(none);
    const positions = new Float64Array(count);
    const visit = (hash: number, section: number, position: number): void => {
      const bucket = ((hash & (tableSize - 1)) >>> 0) - first;
      if (bucket < 0 || bucket >= count) return;
      sections[bucket] = section;
      positions[bucket] = position;
    };
    await visitKeys(files, keySize, end, visit, hooks.progress);
    for (const [bucket, head] of continued) {
      const at = bucket - first;
      if (head === undefined || at < 0 || at >= count) continue;
      const newest = { section: sections[at] ?? none, position: positions[at] ?? 0 };
      if (newest.section !== none && !isBefore(newest, head)) continue;
      sections[at] = head.section;
      positions[at] = head.position;
    }
    await writePass(table, first, checkpoint.epoch, sections, positions);
  }
}

async function writePass(
  { blob, digests }: FreshTable,
  first: number,
  epoch: number,
  sections: Float64Array,
  positions: Float64Array,
): Promise<void> {
  for (let from = 0; from < sections.length; from += writeStepCount) {
    const count = Math.min(writeStepCount, sections.length - from);
    const bytes = Buffer.alloc(count * bucketSize);
    for (let index = 0; index < count; index++) {
      const section = sections[from + index] ?? none;
      if (section === none) continue;
      const head = { section, position: positions[from + index] ?? 0 };
      writeSlot(bytes, index * bucketSize, { epoch, ...head, added: 0 });
      digests.change(first + from + index, undefined, head);
    }
    await blob.writeMany([{ offset: tableBytes(first + from), bytes }]);
  }
}
