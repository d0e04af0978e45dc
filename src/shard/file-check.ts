/** Damage of a shard's small files that opening it gets along with, and then writes over: it is looked for before. */
import type { Disk } from '../disk/disk.ts';
import { checkpointDamage, readCheckpointFile, type SavedCheckpoint } from './checkpoint-file.ts';
import { commitMarkDamage } from './commit-mark.ts';
import { tableFile } from './engine-settings.ts';
import { SectionManifest, sectionManifestFile } from './section-manifest.ts';
import { tableBytesOf } from './store.ts';

/** What is wrong, one text each, with file and place. Reads only; files that are missing are for the opening to tell. */
export async function smallFileDamage(disk: Disk): Promise<readonly string[]> {
  const problems = [...(await checkpointDamage(disk)), ...(await commitMarkDamage(disk))];
  const saved = await readable(readCheckpointFile(disk));
  if (saved?.value.clean !== true) return problems;
  return [...problems, ...(await beyondCheckpoint(disk, saved.value))];
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
  return problems;
}

/** Whatever cannot be read at all is told by the opening. */
async function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch(() => undefined);
}
