import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Gives a file that is on disk its name; when this returned, the name is on disk, too. */
export async function durableRename(from: string, to: string): Promise<void> {
  await rename(from, to);
  const directory = await open(dirname(to), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
