import type { Disk } from '../disk/disk.ts';

/** Ending of a file that is being written; one that is found was left by a crash and is overwritten. */
export const unfinishedEnding = '.new';

/**
 * Makes `path` hold exactly `bytes`, or leaves it as it was: after a crash at any point one of the two is there, and
 * once this returned it is the new one. Processes that may do so at the same time each name an `unfinished` file of their
 * own.
 */
export async function replaceFile(
  disk: Disk,
  path: string,
  bytes: Uint8Array,
  unfinished = path + unfinishedEnding,
): Promise<void> {
  const file = await disk.open(unfinished, { create: true });
  try {
    await file.truncate(0);
    await file.write(0, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(unfinished, path);
  await disk.syncDirectory('');
}

/** All bytes of a file, or undefined when it is missing. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  const found = await disk.stat(path);
  if (found === undefined) return undefined;
  const file = await disk.open(path, { create: false });
  try {
    const bytes = Buffer.alloc(await file.size());
    if (bytes.length > 0) await file.read(0, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}
