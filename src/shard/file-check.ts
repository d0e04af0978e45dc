/**
 * Damage of a shard's small files that opening it gets along with, and then writes over: it is looked for before. And
 * what these files say about the large ones.
 */
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import type { Disk } from '../disk/disk.ts';
import { recordSize } from '../freezer/key-record.ts';
import { compareEnds, type JournalEnd } from '../journal/journal-end.ts';
import {
  checkpointDamage,
  checkpointFile,
  endOf,
  readCheckpointFile,
  type SavedCheckpoint,
} from './checkpoint-file.ts';
import { commitMarkDamage, commitMarkFile, readCommitMark } from './commit-mark.ts';
import { archiveKeySize, sectionFiles, tableFile } from './engine-settings.ts';
import { SectionManifest, sectionManifestFile } from './section-manifest.ts';
import { tableBytesOf } from './store.ts';
import { tableDigestDamage } from './table-digests.ts';

/** What is wrong, one text each, with file and place. Reads only; files that are missing are for the opening to tell. */
export async function smallFileDamage(disk: Disk): Promise<readonly string[]> {
  const problems = [...(await checkpointDamage(disk)), ...(await commitMarkDamage(disk))];
  const saved = await readable(readCheckpointFile(disk));
  if (saved === undefined) return problems;
  problems.push(...(await tableDigestDamage(disk, saved.value)));
  const damage = saved.value.clean ? await beyondCheckpoint(disk, saved.value) : await missingLines(disk, saved.value);
  return [...problems, ...damage];
}

/** Each section below the checkpoint has its line in the manifest. */
async function missingLines(disk: Disk, { checkpoint }: SavedCheckpoint): Promise<readonly string[]> {
  const manifest = await readable(SectionManifest.read(disk));
  if (manifest === undefined || manifest.ends.length >= checkpoint.section) return [];
  return [`${sectionManifestFile}: ${manifest.ends.length} lines found, at least ${checkpoint.section} expected`];
}

/** A file of a section that has another size than the shard's own files say. */
export interface SizeDamage {
  readonly section: number;
  readonly path: string;
  /** Undefined when there is no file. */
  readonly found: number | undefined;
  readonly expected: number;
  /** The file that says so. */
  readonly witness: string;
}

/** Where a section ends, or at least reaches to, as one of the shard's own files says. */
export interface WitnessedEnd {
  readonly end: JournalEnd;
  readonly witness: string;
  /** Nothing can lie behind it. */
  readonly isExact: boolean;
}

/**
 * What is known of the sections: the manifest says how each sealed one ended, and nothing may be missing below the newest
 * checkpoint and the commit mark. A witness that cannot be read says nothing.
 */
export async function sectionEnds(disk: Disk): Promise<readonly WitnessedEnd[]> {
  const manifest = await readable(SectionManifest.read(disk));
  const saved = await readable(readCheckpointFile(disk));
  const mark = await readable(readCommitMark(disk));
  const ends: WitnessedEnd[] = [
    ...(manifest?.ends ?? []).map((end) => ({ end, witness: sectionManifestFile, isExact: true })),
    ...(saved === undefined ? [] : [{ end: endOf(saved.value), witness: checkpointFile, isExact: saved.value.clean }]),
    ...(mark === undefined ? [] : [{ end: mark.value, witness: commitMarkFile, isExact: false }]),
  ];
  return ends.filter(({ end }) => end.keyBytes > 0);
}

/** Records that the shard's own files tell of; there may be more behind the last commit, and less that can be read. */
export async function witnessedRecordCount(disk: Disk): Promise<number> {
  const keyBytes = new Map<number, number>();
  for (const { end } of await sectionEnds(disk))
    keyBytes.set(end.section, Math.max(end.keyBytes, keyBytes.get(end.section) ?? 0));
  return [...keyBytes.values()].reduce((sum, bytes) => sum + bytes, 0) / recordSize(archiveKeySize);
}

/** Holds the sizes of the sections' files against what is known of them. */
export async function sectionSizeDamage(disk: Disk, pageSize: number): Promise<readonly SizeDamage[]> {
  const damage: SizeDamage[] = [];
  for (const witnessed of await sectionEnds(disk)) damage.push(...(await sizeDamage(disk, pageSize, witnessed)));
  return damage;
}

export function describeSize({ found, expected, witness }: SizeDamage): string {
  return `${found === undefined ? 'no file' : `${found} bytes`} found, ${expected} expected (${witness})`;
}

async function sizeDamage(
  disk: Disk,
  pageSize: number,
  { end, witness, isExact }: WitnessedEnd,
): Promise<SizeDamage[]> {
  const { section } = end;
  const { keys, values } = sectionFiles(section);
  const keySize = headerSize + Math.ceil(end.keyBytes / pageSize) * physicalPageSize(pageSize);
  const damage: SizeDamage[] = [];
  for (const [path, expected] of [
    [keys, keySize],
    [values, headerSize + end.valueBytes],
  ] as const) {
    const found = (await disk.stat(path))?.size;
    const isRight = found !== undefined && (isExact ? found === expected : found >= expected);
    if (!isRight) damage.push({ section, path, found, expected, witness });
  }
  return damage;
}

/** Nothing was written after a clean checkpoint: what goes on behind it is no torn tail. */
async function beyondCheckpoint(disk: Disk, saved: SavedCheckpoint): Promise<readonly string[]> {
  const problems: string[] = [];
  const tableBytes = await tableBytesOf(disk);
  if (tableBytes !== saved.tableBytes)
    problems.push(`${tableFile}: ${tableBytes} bytes found, ${saved.tableBytes} expected`);
  const manifest = await readable(SectionManifest.read(disk));
  const lineCount = saved.checkpoint.section;
  if (manifest !== undefined && (manifest.torn || manifest.ends.length !== lineCount)) {
    const found = `${manifest.ends.length} lines${manifest.torn ? ' and a part of one' : ''}`;
    problems.push(`${sectionManifestFile}: ${found} found, ${lineCount} expected`);
  }
  const mark = await readable(readCommitMark(disk));
  if (mark !== undefined && compareEnds(mark.value, endOf(saved)) > 0)
    problems.push(`${commitMarkFile}: it lies behind the checkpoint of a clean close: it is of another shard or time`);
  return problems;
}

/** Whatever cannot be read at all is told by the opening. */
async function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch(() => undefined);
}
