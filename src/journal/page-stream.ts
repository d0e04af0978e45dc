/** Reading a key section from some page on, in order, as recovery and whole-archive passes do. */
import type { Blob } from '../blob/blob.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { type PageChecksum, physicalPageSize, validatePage } from '../blob/page.ts';
import { readPage } from './section-pages.ts';

/** One page in order: what a checksum vouches for, or nothing when none does. */
export interface StreamedPage {
  readonly page: number;
  /** The physical page. */
  readonly bytes: Buffer;
  readonly checksum: PageChecksum | undefined;
}

const batchBytes = 1 << 20;

/** All whole pages from `firstPage` on. Does not stop at damaged ones; bytes behind the last whole page are left out. */
export async function* streamPages(blob: Blob, pageSize: number, firstPage: number): AsyncGenerator<StreamedPage> {
  const size = physicalPageSize(pageSize);
  const pageCount = Math.floor(blob.size / size);
  const batchCount = Math.max(1, Math.floor(batchBytes / size));
  for (let first = firstPage; first < pageCount; first += batchCount) {
    const count = Math.min(batchCount, pageCount - first);
    const batch = Buffer.allocUnsafe(count * size);
    await blob.read(first * size, batch);
    for (let index = 0; index < count; index++) {
      const bytes = batch.subarray(index * size, (index + 1) * size);
      yield { page: first + index, bytes, checksum: validatePage(bytes, pageSize) };
    }
  }
}

/** Payload bytes from `offset` on. Every page must vouch for its part. */
export async function readPayload(blob: Blob, pageSize: number, offset: number, size: number): Promise<Buffer> {
  const payload = Buffer.allocUnsafe(size);
  let done = 0;
  while (done < size) {
    const page = Math.floor((offset + done) / pageSize);
    const within = (offset + done) % pageSize;
    const part = Math.min(pageSize - within, size - done);
    const { data, checksum } = await readPage(blob, pageSize, page);
    if (checksum.size < within + part) {
      throw corruption(`page ${page}`, {
        file: blob.path,
        offset: headerSize + page * physicalPageSize(pageSize),
        expected: `at least ${within + part} bytes`,
        found: checksum.size,
      });
    }
    data.copy(payload, done, within, within + part);
    done += part;
  }
  return payload;
}
