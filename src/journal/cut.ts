/**
 * The third part of recovery, and the first that writes: settles what was adopted and cuts what lies beyond.
 *
 * Readable is not durable: bytes of a killed process, or behind a failed fsync, may be in the page cache only. So every
 * byte between the durable end and the adopted one is written again as it is and fsynced. Where the disk differs from
 * what is readable, each sector has the old bytes or the readable ones; the durable prefix and its checksum are the
 * same in both.
 *
 * The order of a cut: key sections from the newest down, the key section's end, then values. The key cut is durable
 * before value space is used again. A partial page is cut in three steps, each durable before the next (upstream
 * #3837): the new checksum in the unused slot with size 0; its size; the old slot's size set to 0. A crash anywhere
 * leaves a checksum that matches, and the same cut is made again.
 *
 * What is found cut already may have been cut by a process that died before its fsync: it is made durable all the same,
 * or a power loss would bring it back behind a checkpoint that knows nothing of it.
 */
import { assert } from '../base/assert.ts';
import type { Blob } from '../blob/blob.ts';
import {
  checksumOffset,
  encodeChecksum,
  matchingChecksum,
  otherSlot,
  type PageChecksum,
  physicalPageSize,
} from '../blob/page.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { Disk } from '../disk/disk.ts';
import type { JournalEnd } from './journal-end.ts';
import { type JournalFiles, withBlob } from './journal-files.ts';
import type { SectionBlobs } from './section-blobs.ts';
import { readPage } from './section-pages.ts';

const copyBytes = 1 << 20;

/** Makes everything up to `adopted` durable, of which all up to `durable` is already. */
export async function settle(files: JournalFiles, durable: JournalEnd, adopted: JournalEnd): Promise<void> {
  if (adopted.section === durable.section && adopted.keyBytes === durable.keyBytes) return;
  const physical = physicalPageSize(files.pageSize);
  for (let section = durable.section; section <= adopted.section; section++) {
    const from = section === durable.section ? durable : { keyBytes: 0, valueBytes: 0 };
    await withBlob(files.keys, section, async (blob) => {
      const end = section === adopted.section ? Math.ceil(adopted.keyBytes / files.pageSize) * physical : blob.size;
      await rewrite(blob, Math.floor(from.keyBytes / files.pageSize) * physical, end);
    });
    await withBlob(files.values, section, (blob) =>
      rewrite(blob, from.valueBytes, section === adopted.section ? adopted.valueBytes : blob.size),
    );
  }
  await files.disk.syncDirectory(files.values.partition);
  await files.disk.syncDirectory(files.keys.partition);
  await files.disk.syncDirectory('');
}

/** Cuts both journals to `end`, which is durable. Durable on return. */
export async function cut(files: JournalFiles, end: JournalEnd): Promise<void> {
  for (const blobs of [files.keys, files.values]) await verifyRemovable(blobs, end);
  await removeBeyond(files.disk, files.keys, end);
  if (end.keyBytes > 0) await withBlob(files.keys, end.section, (blob) => cutKeys(blob, files.pageSize, end.keyBytes));
  await removeBeyond(files.disk, files.values, end);
  if (end.keyBytes > 0) await withBlob(files.values, end.section, (blob) => cutTo(blob, end.valueBytes));
}

async function rewrite(blob: Blob, from: number, to: number): Promise<void> {
  for (let offset = from; offset < to; offset += copyBytes) {
    const bytes = Buffer.allocUnsafe(Math.min(copyBytes, to - offset));
    await blob.read(offset, bytes);
    await blob.writeMany([{ offset, bytes }]);
  }
  await blob.sync();
}

/** Refuses, before anything is removed, what has a section's name and is no file. */
async function verifyRemovable(blobs: SectionBlobs, end: JournalEnd): Promise<void> {
  for (const section of await sectionsBeyond(blobs, end)) await blobs.fileSize(section);
}

/** Removes the sections behind the end, and its own when nothing of it is kept. */
async function removeBeyond(disk: Disk, blobs: SectionBlobs, end: JournalEnd): Promise<void> {
  const beyond = await sectionsBeyond(blobs, end);
  for (const section of [...beyond].reverse()) await blobs.remove(section);
  if (beyond.length === 0 && (await disk.stat(blobs.partition)) !== undefined)
    await disk.syncDirectory(blobs.partition);
}

async function sectionsBeyond(blobs: SectionBlobs, end: JournalEnd): Promise<readonly number[]> {
  return (await blobs.list()).filter(
    (section) => section > end.section || (section === end.section && end.keyBytes === 0),
  );
}

async function cutTo(blob: Blob, size: number): Promise<void> {
  if (blob.size !== size) await blob.truncate(size);
  await blob.sync();
}

async function cutKeys(blob: Blob, pageSize: number, keyBytes: number): Promise<void> {
  const physical = physicalPageSize(pageSize);
  await cutTo(blob, Math.ceil(keyBytes / pageSize) * physical);
  const within = keyBytes % pageSize;
  if (within === 0) return;
  const page = Math.floor(keyBytes / pageSize);
  const { data, checksum } = await readPage(blob, pageSize, page);
  if (checksum.size > within) await shrinkPage(blob, pageSize, page * physical, data, checksum, within);
}

async function shrinkPage(
  blob: Blob,
  pageSize: number,
  base: number,
  data: Buffer,
  from: PageChecksum,
  size: number,
): Promise<void> {
  assert(from.size > size, 'a page is only shrunk');
  const step = async (at: number, bytes: Buffer): Promise<void> => {
    await blob.writeMany([{ offset: base + at, bytes }]);
    await blob.sync();
  };
  const target = otherSlot(from.slot);
  const crc = crc32c(data.subarray(0, size));
  await step(0, data);
  if (matchingChecksum(data, pageSize, target)?.size !== size) {
    await step(checksumOffset(pageSize, target), encodeChecksum(0, crc));
    await step(checksumOffset(pageSize, target), encodeChecksum(size, crc));
  }
  await step(checksumOffset(pageSize, from.slot), encodeChecksum(0, from.crc));
}
