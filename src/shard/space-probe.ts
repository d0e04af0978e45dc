import type { Disk } from '../disk/disk.ts';

/** File that is written to see whether there is space. */
export const spaceProbeFile = 'space-probe';
const probeChunkSize = 1024 * 1024;

/** Fails unless `size` bytes more fit on the disk. Leaves nothing. */
export async function probeSpace(disk: Disk, size: number): Promise<void> {
  const file = await disk.open(spaceProbeFile, { create: true });
  try {
    const chunk = Buffer.alloc(Math.min(size, probeChunkSize), 1);
    for (let offset = 0; offset < size; offset += chunk.length) await file.write(offset, chunk);
    await file.sync();
  } finally {
    await file.close();
    await disk.remove(spaceProbeFile);
  }
}
