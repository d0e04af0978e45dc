/**
 * Proves by samples that journals, table and checkpoint belong together: the newest records of a section must be
 * found from their keys. Files of another section, store or time, or a wrong size of the table, do not pass.
 *
 * Reads only. What is rotten on the way is passed over: reads report it for the keys that it concerns. A table of which no
 * bucket that was asked for can be believed is none of this store.
 */
import { inGroups } from '../base/in-groups.ts';
import { BlobError } from '../blob/blob-error.ts';
import { governingSize } from '../blob/page.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { type JournalFiles, withBlob } from '../journal/journal-files.ts';
import { KeyIndex, type RecordPosition } from '../journal/key-index.ts';
import { readPage } from '../journal/section-pages.ts';
import { FreezerError } from './freezer-error.ts';
import { isBefore, type KeyRecord, readRecordOf } from './key-record.ts';
import type { Table } from './table.ts';

export interface ChainSample {
  readonly files: JournalFiles;
  readonly table: Table;
  readonly keySize: number;
  /** Epoch of the checkpoint: no head is newer, unless it was replayed. */
  readonly epoch: number;
  readonly end: JournalEnd;
  /** Sealed sections of which the newest records are looked at, counted down from the end. */
  readonly sealedCount: number;
  /** How the sealed sections ended, where that is known. */
  readonly sealed: readonly JournalEnd[] | undefined;
}

/** Records looked at in the growing section, and in each sealed one. */
const growingSampleCount = 64;
const sealedSampleCount = 2;
const cachePages = 64;
/** Sections, and records of each, that are looked at together: one waits for the disk while another is worked on. */
const sectionsAtATime = 16;
const recordsAtATime = 16;

export async function verifyChains(sample: ChainSample): Promise<void> {
  const { files, end, sealedCount } = sample;
  const index = new KeyIndex(files.keys, { pageSize: files.pageSize, recordSize: files.layout.size, cachePages });
  const heads: HeadTally = { readCount: 0, damage: undefined };
  await verifySection(sample, index, heads, end.section, end.keyBytes, growingSampleCount);
  const count = Math.min(sealedCount, end.section);
  const sections = Array.from({ length: count }, (_, below) => end.section - 1 - below);
  await inGroups(sections, sectionsAtATime, async (section) => {
    const keyBytes = await passRot(() => index.sealedSize(section));
    if (keyBytes !== undefined) await verifySection(sample, index, heads, section, keyBytes, sealedSampleCount);
    const line = sample.sealed?.find((end) => end.section === section);
    if (line !== undefined) await verifyEnd(sample, index, line);
  });
  if (heads.readCount === 0 && heads.damage !== undefined) throw heads.damage;
}

/** Chain heads that were asked for. */
interface HeadTally {
  /** Those that could be read. */
  readCount: number;
  /** Why one could not be. */
  damage: Error | undefined;
}

/**
 * A sealed section has the records that it was left with, and the last of them names the last value: records of another
 * store do not. A last page whose newest checksum does not match is rot.
 */
async function verifyEnd(sample: ChainSample, index: KeyIndex, line: JournalEnd): Promise<void> {
  const { files } = sample;
  const last = { section: line.section, position: line.keyBytes / files.layout.size - 1 };
  const lastPage = Math.ceil(line.keyBytes / files.pageSize) - 1;
  const page = await passRot(() =>
    withBlob(files.keys, line.section, (blob) => readPage(blob, files.pageSize, lastPage)),
  );
  if (page === undefined || governingSize(page.data, files.pageSize) > page.checksum.size) return;
  const keyBytes = lastPage * files.pageSize + page.checksum.size;
  if (keyBytes !== line.keyBytes) throw mismatch(index, last, `${line.keyBytes} key bytes`, `${keyBytes}`);
  const bytes = await passRot(() => index.read(last));
  if (bytes === undefined) return;
  const { valueOffset, valueSize } = parse(sample, index, last, bytes);
  if (valueOffset + valueSize === line.valueBytes) return;
  throw mismatch(index, last, `a value up to ${line.valueBytes}`, `one up to ${valueOffset + valueSize}`);
}

async function verifySection(
  sample: ChainSample,
  index: KeyIndex,
  heads: HeadTally,
  section: number,
  keyBytes: number,
  sampleCount: number,
): Promise<void> {
  const count = Math.floor(keyBytes / sample.files.layout.size);
  const first = Math.max(0, count - sampleCount);
  const positions = Array.from({ length: count - first }, (_, at) => first + at);
  await inGroups(positions, recordsAtATime, (position) => verifyChain(sample, index, heads, { section, position }));
}

async function verifyChain(
  sample: ChainSample,
  index: KeyIndex,
  heads: HeadTally,
  target: RecordPosition,
): Promise<void> {
  const wanted = await passRot(() => index.read(target));
  if (wanted === undefined) return;
  const record = parse(sample, index, target, wanted);
  const head = await sample.table.slot(crc32c(record.key));
  if (head instanceof Error) {
    if (!isRot(head)) throw head;
    heads.damage ??= head;
    return;
  }
  heads.readCount++;
  if (head !== undefined && head.epoch > sample.epoch) {
    throw mismatch(index, target, `a head of an epoch up to ${sample.epoch}`, `epoch ${head.epoch}`);
  }
  if (head !== undefined && !liesBelow(head, sample)) {
    throw mismatch(index, target, 'a head before the end of the journals', `${head.section}/${head.position}`);
  }
  let at: RecordPosition | undefined = head;
  while (at !== undefined && isBefore(target, at)) {
    const place: RecordPosition = at;
    const bytes = await passRot(() => index.read(place));
    if (bytes === undefined) return;
    at = parse(sample, index, place, bytes).next;
  }
  if (at?.section === target.section && at.position === target.position) return;
  throw mismatch(index, target, 'the record on the chain of its key', 'a chain without it');
}

function liesBelow(head: RecordPosition, { end, files }: ChainSample): boolean {
  if (head.section !== end.section) return head.section < end.section;
  return (head.position + 1) * files.layout.size <= end.keyBytes;
}

/** A record whose chain goes backwards. */
function parse({ keySize }: ChainSample, index: KeyIndex, at: RecordPosition, bytes: Buffer): KeyRecord {
  const record = readRecordOf(index.blobs.path(at.section), at.position, bytes, keySize);
  if (record.next === undefined || isBefore(record.next, at)) return record;
  throw mismatch(index, at, 'a next record before it', `${record.next.section}/${record.next.position}`);
}

function isRot(error: unknown): boolean {
  return error instanceof BlobError && error.code === 'corruption';
}

async function passRot<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isRot(error)) return undefined;
    throw error;
  }
}

function mismatch(index: KeyIndex, at: RecordPosition, expected: string, found: string): FreezerError {
  const file = index.blobs.path(at.section);
  return new FreezerError(
    'checkpoint-mismatch',
    `${file}: record ${at.position}: expected ${expected}, found ${found}: files or checkpoint of another store or time`,
    { details: { file, position: at.position, expected, found } },
  );
}
