/** Chain heads from the key index alone: the newest record of each bucket is its head. */
import { yieldToLoop } from '../base/yield.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { type JournalFiles, withBlob } from '../journal/journal-files.ts';
import { streamPages } from '../journal/page-stream.ts';
import { verifySealed } from '../journal/verify-committed.ts';

/** Called for every record in the order of the archive: the bytes of its key start at `at`. */
export type VisitKey = (hash: number, section: number, position: number) => void;

/** Reads every key up to `end`, in order. A page that cannot be read is corruption: nothing can be told without it. */
export async function visitKeys(
  files: JournalFiles,
  keySize: number,
  end: JournalEnd,
  visit: VisitKey,
  progress: ((done: number, total: number, phase: string) => void) | undefined,
): Promise<void> {
  for (const section of await files.keys.list()) {
    if (section > end.section) return;
    const limit = section === end.section ? end.keyBytes : (await verifySealed(files, section)).keyBytes;
    await visitSection(files, keySize, section, limit, visit);
    progress?.(section + 1, end.section + 1, 'key index pass');
  }
}

async function visitSection(
  files: JournalFiles,
  keySize: number,
  section: number,
  limit: number,
  visit: VisitKey,
): Promise<void> {
  const { pageSize, layout } = files;
  await withBlob(files.keys, section, async (blob) => {
    let carry: Buffer = Buffer.alloc(0);
    let position = 0;
    let read = 0;
    for await (const { page, bytes, checksum } of streamPages(blob, pageSize, 0)) {
      if (read >= limit) break;
      const wanted = Math.min(pageSize, limit - read);
      if (checksum === undefined || checksum.size < wanted) {
        throw corruption(`page ${page}`, {
          file: blob.path,
          offset: headerSize + page * physicalPageSize(pageSize),
          expected: `a matching checksum over ${wanted} bytes`,
          found: bytes.toString('hex', pageSize),
        });
      }
      const part = bytes.subarray(0, Math.min(checksum.size, wanted));
      read += part.length;
      const payload = carry.length === 0 ? part : Buffer.concat([carry, part]);
      let at = 0;
      for (; at + layout.size <= payload.length; at += layout.size) {
        visit(crc32c(payload.subarray(at, at + keySize)), section, position++);
      }
      carry = payload.subarray(at);
      if (page % 256 === 255) await yieldToLoop();
    }
  });
}
