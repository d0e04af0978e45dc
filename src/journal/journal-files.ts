import { messageOf } from '../base/errors.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import type { Disk } from '../disk/disk.ts';
import { SectionBlobs } from './section-blobs.ts';

/** What the journals need to know of a record: its size, and where it says that its value is. */
export interface RecordLayout {
  readonly size: number;
  valueOf(bytes: Buffer, at: number): { readonly offset: number; readonly size: number };
}

/** The files of both journals, as recovery sees them: no buffers, no cache, nothing written unless asked for. */
export interface JournalFiles {
  readonly disk: Disk;
  readonly keys: SectionBlobs;
  readonly values: SectionBlobs;
  readonly pageSize: number;
  readonly layout: RecordLayout;
}

export function journalFiles(
  disk: Disk,
  settings: { readonly keyPartition: string; readonly valuePartition: string; readonly pageSize: number },
  layout: RecordLayout,
): JournalFiles {
  return {
    disk,
    keys: new SectionBlobs(disk, settings.keyPartition),
    values: new SectionBlobs(disk, settings.valuePartition),
    pageSize: settings.pageSize,
    layout,
  };
}

/** Where the record at `at` says that its value is. A field that no store writes is corruption. */
export function placeOfValue(
  files: Omit<JournalFiles, 'disk'>,
  place: { readonly section: number; readonly position: number },
  bytes: Buffer,
  at: number,
): { readonly offset: number; readonly size: number } {
  try {
    return files.layout.valueOf(bytes, at);
  } catch (error) {
    const page = Math.floor((place.position * files.layout.size) / files.pageSize);
    throw corruption(`record ${place.position}`, {
      file: files.keys.path(place.section),
      offset: headerSize + page * physicalPageSize(files.pageSize),
      expected: 'fields below 2^53',
      found: messageOf(error),
    });
  }
}

export async function closeJournalFiles(files: JournalFiles): Promise<void> {
  await files.keys.close();
  await files.values.close();
}

/** Runs `work` with a section's file open. */
export async function withBlob<T>(
  blobs: SectionBlobs,
  section: number,
  work: (blob: Awaited<ReturnType<SectionBlobs['acquire']>>) => Promise<T>,
): Promise<T> {
  const blob = await blobs.acquire(section);
  try {
    return await work(blob);
  } finally {
    await blobs.release(section);
  }
}
