/** The three ways into a store: made new, taken up after a clean close, recovered. */
import { type Blob, createBlob, isBlankBlob, openBlob } from '../blob/blob.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { crcSize } from '../codec/crc32c.ts';
import type { Disk } from '../disk/disk.ts';
import { type JournalEnd, journalStart } from '../journal/journal-end.ts';
import { closeJournalFiles, type JournalFiles, journalFiles } from '../journal/journal-files.ts';
import { Oversized } from '../journal/oversized.ts';
import { SectionBlobs } from '../journal/section-blobs.ts';
import { verifyClean } from '../journal/verify-committed.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { FrameCoding } from './frame-coding.ts';
import { FreezerError } from './freezer-error.ts';
import { HeadDigests } from './head-digests.ts';
import type { FreezerHooks } from './hooks.ts';
import { linkReader, recordLayout, recordSize } from './key-record.ts';
import { recover, verifyCoding } from './recovery.ts';
import type { FreezerSettings } from './settings.ts';
import { isPowerOfTwo } from './settings-check.ts';
import type { FreezerStart } from './start.ts';
import { Table, type TableSettings, tableBytes, tableSizeMax } from './table.ts';
import { tableFile, tableName } from './table-file.ts';
import { mirrorBytesMax, mirroredNumberMax } from './table-mirror.ts';
import { verifyChains } from './verify-chains.ts';

export interface OpenedStore<V> {
  readonly oversized: Oversized;
  readonly table: Table;
  readonly coding: FrameCoding<V>;
  /** Epoch to be written now. */
  readonly epoch: number;
}

const firstEpoch = 1;
/** Sealed sections, the newest, that are looked into after a clean close: it must stay cheap. */
const sealedSampledAtCleanStart = 16;

export async function openStore<V>(
  disk: Disk,
  settings: FreezerSettings<V>,
  coding: FrameCoding<V>,
  start: FreezerStart,
  hooks: FreezerHooks,
): Promise<OpenedStore<V>> {
  if (start.kind === 'create' || isEmptyCheckpoint(start.checkpoint)) return createStore(disk, settings, coding);
  checkCheckpoint(start.checkpoint);
  if (start.kind !== 'checkpoint') checkDigests(start.table?.digests, start.checkpoint);
  const blob = await openTable(disk, settings, start.checkpoint);
  const files = journalFiles(
    disk,
    { ...settings, pageSize: settings.keyPageCache.pageSize },
    recordLayout(settings.keySize),
  );
  try {
    const tableSettings = tableSettingsOf(settings, start.checkpoint.section);
    const opened =
      start.kind === 'clean'
        ? await takeUp(files, blob, settings, start, coding)
        : await recover({ files, blob, settings, tableSettings, start, hooks }, coding);
    await closeJournalFiles(files);
    const oversized = await openJournals(disk, settings, opened.end);
    return { oversized, table: opened.table, coding, epoch: start.checkpoint.epoch + 1 };
  } catch (error) {
    await closeJournalFiles(files);
    await blob.close();
    throw error;
  }
}

async function createStore<V>(
  disk: Disk,
  settings: FreezerSettings<V>,
  coding: FrameCoding<V>,
): Promise<OpenedStore<V>> {
  await checkNothingThere(disk, settings);
  const blob = await createBlob(disk, settings.tablePartition, tableName);
  try {
    await blob.truncate(tableBytes(settings.tableInitialSize));
    await blob.sync();
    const table = new Table(blob, tableSettingsOf(settings, 0), settings.tableInitialSize, {
      resizeProgress: undefined,
      resizable: 0,
      initialSize: settings.tableInitialSize,
      digests: HeadDigests.ofEmpty(settings.tableInitialSize),
    });
    return { oversized: await openJournals(disk, settings, journalStart), table, coding, epoch: firstEpoch };
  } catch (error) {
    await blob.close();
    throw error;
  }
}

/** Refuses to begin where records or heads are. A table without a head holds nothing: a creation was interrupted. */
async function checkNothingThere<V>(disk: Disk, settings: FreezerSettings<V>): Promise<void> {
  for (const partition of [settings.keyPartition, settings.valuePartition]) {
    const sections = await new SectionBlobs(disk, partition).list();
    if (sections.length > 0) throw notEmpty(partition, `${sections.length} sections`);
  }
  const path = tableFile(settings);
  if ((await disk.stat(path)) !== undefined && !(await isBlankBlob(disk, path))) throw notEmpty(path, 'buckets in use');
}

async function takeUp<V>(
  files: JournalFiles,
  blob: Blob,
  settings: FreezerSettings<V>,
  start: Extract<FreezerStart, { kind: 'clean' }>,
  coding: FrameCoding<V>,
): Promise<{ readonly table: Table; readonly end: JournalEnd }> {
  const { checkpoint, table: state } = start;
  const end = await verifyClean(files, checkpoint, start.sealed);
  await verifyCoding(files, end, coding);
  const expected = tableBytes(checkpoint.tableSize) * (state.resizeProgress === undefined ? 1 : 2);
  if (blob.size !== expected) {
    throw corruption('table', {
      file: blob.path,
      offset: 0,
      expected: `${expected + headerSize} bytes`,
      found: `${blob.size + headerSize} bytes`,
    });
  }
  const table = new Table(blob, tableSettingsOf(settings, checkpoint.section), checkpoint.tableSize, state);
  const { keySize } = settings;
  const { epoch } = checkpoint;
  const sealedCount = sealedSampledAtCleanStart;
  await verifyChains({ files, table, keySize, epoch, end, sealedCount, sealed: start.sealed });
  return { table, end };
}

async function openTable<V>(disk: Disk, settings: FreezerSettings<V>, checkpoint: Checkpoint): Promise<Blob> {
  const path = tableFile(settings);
  if ((await disk.stat(path)) !== undefined) return openBlob(disk, path);
  throw new FreezerError(
    'checkpoint-mismatch',
    `${path}: expected a table of ${checkpoint.tableSize} buckets, found no file`,
    {
      details: { file: path, expected: checkpoint.tableSize, found: 'none' },
    },
  );
}

async function openJournals<V>(disk: Disk, settings: FreezerSettings<V>, end: JournalEnd): Promise<Oversized> {
  const oversized = new Oversized(disk, {
    keyPartition: settings.keyPartition,
    valuePartition: settings.valuePartition,
    pageSize: settings.keyPageCache.pageSize,
    cachePages: settings.keyPageCache.pages,
    recordSize: recordSize(settings.keySize),
    readLink: linkReader(settings.keySize),
    keyWriteBuffer: Math.max(settings.keyWriteBuffer, 2 * settings.keyPageCache.pageSize),
    valueWriteBuffer: settings.valueWriteBuffer,
  });
  try {
    await oversized.openAt(end);
    return oversized;
  } catch (error) {
    await oversized.close();
    throw error;
  }
}

function tableSettingsOf<V>(settings: FreezerSettings<V>, section: number): TableSettings {
  // A mirror has 32 bits for a section and a position; a value takes at least a checksum.
  const fitsMirror = settings.valueTargetSize / crcSize < mirroredNumberMax && section < mirroredNumberMax / 2;
  return {
    resizeFrequency: settings.tableResizeFrequency,
    resizeChunkSize: settings.tableResizeChunkSize,
    changesMax: settings.tableChangesMax,
    mirrorBytesMax: fitsMirror ? mirrorBytesMax : 0,
  };
}

function isEmptyCheckpoint({ epoch, section, keyBytes, tableSize }: Checkpoint): boolean {
  return epoch === 0 && section === 0 && keyBytes === 0 && tableSize === 0;
}

/** Passes a checkpoint that some store could have. */
export function checkCheckpoint({ epoch, section, keyBytes, tableSize }: Checkpoint): void {
  const isCount = (field: number): boolean => Number.isSafeInteger(field) && field >= 0;
  const bad =
    !isPowerOfTwo(tableSize) || tableSize > tableSizeMax
      ? { field: 'table size', expected: `a power of two up to ${tableSizeMax}`, found: tableSize }
      : !isCount(epoch) || epoch < firstEpoch || epoch === Number.MAX_SAFE_INTEGER
        ? { field: 'epoch', expected: `${firstEpoch} to below 2^53 - 1`, found: epoch }
        : !isCount(section) || !isCount(keyBytes)
          ? { field: 'end', expected: 'a section and bytes from 0 to below 2^53', found: `${section}/${keyBytes}` }
          : undefined;
  if (bad === undefined) return;
  throw new FreezerError('checkpoint-mismatch', `checkpoint: ${bad.field} is ${bad.found}, expected ${bad.expected}`, {
    details: bad,
  });
}

function checkDigests(digests: HeadDigests | undefined, { tableSize }: Checkpoint): void {
  if (digests === undefined || digests.tableSize === tableSize) return;
  const found = digests.tableSize;
  throw new FreezerError(
    'checkpoint-mismatch',
    `digests of ${found} buckets, the checkpoint's table has ${tableSize}`,
    {
      details: { field: 'digests', expected: tableSize, found },
    },
  );
}

function notEmpty(place: string, found: string): FreezerError {
  return new FreezerError('not-empty', `${place} holds ${found}: open it with its checkpoint, or salvage it`, {
    details: { file: place, expected: 'nothing', found },
  });
}
