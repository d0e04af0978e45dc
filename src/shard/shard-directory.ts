import { dirname } from 'node:path';
import { NodeDisk } from '../disk/node-disk.ts';

/**
 * Makes the directory of a shard, with what is missing above it, and gives the disk below it.
 *
 * The names are durable on return: else a power loss could take the whole shard with it, however well its files were
 * synced. That a directory is there already proves nothing, an earlier run may have died before it synced; so the two
 * directories that hold the shard and the archive's data are synced every time.
 */
export async function prepareShardDirectory(directory: string): Promise<NodeDisk> {
  const disk = new NodeDisk(directory);
  const missing = await missingAbove(directory);
  await disk.makeDirectory('');
  for (const made of missing) await new NodeDisk(dirname(made)).syncDirectory('');
  await Promise.all([
    new NodeDisk(dirname(directory)).syncDirectory(''),
    missing.includes(dirname(directory)) ? undefined : syncIfAllowed(dirname(dirname(directory))),
  ]);
  return disk;
}

/** The directory and those above it that are not there, the lowest first. */
async function missingAbove(directory: string): Promise<readonly string[]> {
  if ((await new NodeDisk(directory).stat('')) !== undefined || dirname(directory) === directory) return [];
  return [directory, ...(await missingAbove(dirname(directory)))];
}

/** What lies above a data directory that was there before can be another user's, and then is not ours to sync. */
async function syncIfAllowed(directory: string): Promise<void> {
  try {
    await new NodeDisk(directory).syncDirectory('');
  } catch {
    return;
  }
}
