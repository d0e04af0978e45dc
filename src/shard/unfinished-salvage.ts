/**
 * The mark of a copy that `salvage` has not finished: a file beside the others, durable before the first of them and
 * removed after the last. While it is there the directory is no shard, however whole it looks.
 */
import type { Disk } from '../disk/disk.ts';

export const unfinishedSalvageFile = 'salvage-unfinished';

/** Durable on return. */
export async function markUnfinished(disk: Disk): Promise<void> {
  const file = await disk.open(unfinishedSalvageFile, { create: true });
  await file.close();
  await disk.syncDirectory('');
}

/** Durable on return; everything else of the copy is durable before. */
export async function markFinished(disk: Disk): Promise<void> {
  await disk.remove(unfinishedSalvageFile);
  await disk.syncDirectory('');
}
