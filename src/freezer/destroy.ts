import type { Disk } from '../disk/disk.ts';
import { SectionBlobs } from '../journal/section-blobs.ts';
import type { FreezerSettings } from './settings.ts';
import { tableFile } from './table-file.ts';

/** Removes the files of a store that nobody has open, newest sections first, and its directories; durably. */
export async function removeStore<V>(disk: Disk, settings: FreezerSettings<V>): Promise<void> {
  for (const partition of [settings.keyPartition, settings.valuePartition]) {
    const blobs = new SectionBlobs(disk, partition);
    const sections = await blobs.list();
    for (const section of [...sections].reverse()) await blobs.remove(section);
    await removeDirectory(disk, partition);
  }
  if ((await disk.stat(tableFile(settings))) !== undefined) {
    await disk.remove(tableFile(settings));
    await disk.syncDirectory(settings.tablePartition);
  }
  await removeDirectory(disk, settings.tablePartition);
}

async function removeDirectory(disk: Disk, partition: string): Promise<void> {
  if ((await disk.stat(partition)) === undefined) return;
  await disk.removeDirectory(partition);
  await disk.syncDirectory('');
}
