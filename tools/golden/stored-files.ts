import { createHash } from 'node:crypto';
import type { Disk } from '../../src/disk/disk.ts';

/** A file of a store as it is on disk, header included. */
export interface StoredFile {
  readonly partition: string;
  readonly name: string;
  readonly bytes: Buffer;
}

/** All files of the partitions, ascending by partition and then by name. */
export async function storedFiles(disk: Disk, partitions: readonly string[]): Promise<readonly StoredFile[]> {
  const files: StoredFile[] = [];
  for (const partition of [...partitions].sort()) {
    for (const name of [...((await disk.list(partition)) ?? [])].sort()) {
      files.push({ partition, name, bytes: await wholeFile(disk, `${partition}/${name}`) });
    }
  }
  return files;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function wholeFile(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, { create: false });
  try {
    const bytes = Buffer.alloc(await file.size());
    if (bytes.length > 0) await file.read(0, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}
