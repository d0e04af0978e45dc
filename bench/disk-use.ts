import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from './numbers.ts';

const execFileAsync = promisify(execFile);
/** Of the counters in /proc/diskstats and of `blocks`, whatever the device's own sectors are. */
const sectorSize = 512;

/** Bytes that the files below a directory occupy. */
export async function diskBytesOf(directory: string): Promise<number> {
  let size = 0;
  for (const entry of await fs.readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) size += (await fs.stat(join(entry.parentPath, entry.name))).blocks * sectorSize;
  }
  return size;
}

/**
 * Bytes that all processes together have written to the device below a directory, or undefined where the system does
 * not say. What is still in the page cache is not in it: see `writeOut`.
 */
export async function deviceBytesWritten(directory: string): Promise<number | undefined> {
  const device = (await fs.stat(directory)).dev;
  // As the C library packs them.
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  const text = await fs.readFile('/proc/diskstats', 'utf8').catch(() => '');
  const fields = text.split('\n').map((line) => line.trim().split(/\s+/));
  const sectors = fields.find((line) => line[0] === `${major}` && line[1] === `${minor}`)?.[9];
  return sectors === undefined ? undefined : Number(sectors) * sectorSize;
}

/** Writes the system's dirty pages out, so that they are neither the next measurement's cost nor missing in this one. */
export async function writeOut(): Promise<void> {
  await execFileAsync('sync').catch(() => {});
}

/** Empties the system's page cache; false where that is not allowed. Pages of a file that is mapped stay. */
export async function dropPageCache(): Promise<boolean> {
  await writeOut();
  try {
    await fs.writeFile('/proc/sys/vm/drop_caches', '3');
    return true;
  } catch {
    return false;
  }
}

const readStepSize = 1 << 20;

/**
 * Reads the files below a directory, so that they are in the page cache: some systems take back what was idle for a
 * moment. A file that goes away meanwhile is passed over.
 */
export async function fillPageCache(directory: string): Promise<void> {
  const into = Buffer.allocUnsafe(readStepSize);
  for (const entry of await fs.readdir(directory, { withFileTypes: true, recursive: true })) {
    const file = entry.isFile() ? await fs.open(join(entry.parentPath, entry.name)).catch(() => undefined) : undefined;
    if (file === undefined) continue;
    while ((await file.read(into)).bytesRead > 0);
    await file.close();
  }
}

const syncCount = 50;
const pageSize = 4096;

/** Median time of writing a page at the end of a file and syncing it, in milliseconds. */
export async function syncTime(directory: string): Promise<number> {
  const file = await fs.open(join(directory, 'sync-time'), 'wx');
  const times: number[] = [];
  for (let at = 0; at < syncCount; at++) {
    const startMs = performance.now();
    await file.write(Buffer.alloc(pageSize), 0, pageSize, at * pageSize);
    await file.datasync();
    times.push(performance.now() - startMs);
  }
  await file.close();
  return median(times);
}
