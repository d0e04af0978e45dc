/**
 * When something that keeps a shard safe was last done to its end: a small file of its own in the shard's directory, for
 * the worker to tell. It is information only; nothing is decided by it, and a missing or unreadable one says never.
 */
import type { Disk } from '../disk/disk.ts';
import { isObject } from './checked-document.ts';
import { readWhole, replaceFile } from './replace-file.ts';

export const lastBackupFile = 'last-backup';
export const lastScrubFile = 'last-scrub';

export async function writeLastSuccess(disk: Disk, path: string, wallMs: number): Promise<void> {
  await replaceFile(disk, path, Buffer.from(`${JSON.stringify({ completed: new Date(wallMs).toISOString() })}\n`));
}

/** Wall clock in milliseconds; undefined for never. */
export async function readLastSuccess(disk: Disk, path: string): Promise<number | undefined> {
  try {
    const found: unknown = JSON.parse((await readWhole(disk, path))?.toString() ?? '');
    const completed = isObject(found) && typeof found.completed === 'string' ? Date.parse(found.completed) : Number.NaN;
    return Number.isNaN(completed) ? undefined : completed;
  } catch {
    return undefined;
  }
}
