/**
 * Pages of the key index as they come from the disk: checked, and kept in a cache that all sections share.
 *
 * While the cache has room a page is not read alone but with its neighbours: one read of some 64 KiB costs a disk little
 * more than one of 4, and records of a chain are spread over the whole index. So a store that was just opened reads the
 * index that fits the cache in a sixteenth of the reads. When the cache is full each page comes alone.
 *
 * A neighbour never costs an answer: one that is damaged is only not kept, and when the disk cannot give all of a
 * stretch, the pages that are wanted are read by themselves.
 */
import type { Blob } from '../blob/blob.ts';
import { type BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { type PageChecksum, physicalPageSize, validatePage } from '../blob/page.ts';
import { cachedNumberMax, PageCache } from '../blob/page-cache.ts';
import { DiskError } from '../disk/disk-error.ts';
import { type FramedPage, type LinkPlace, type ReadLink, RecordLinks } from './record-links.ts';

/** A page that was read: its data as far as a checksum vouches for it. */
export interface ReadPage {
  readonly data: Buffer;
  readonly checksum: PageChecksum;
}

/** Where in memory a record is. The one who asks hands it over to be filled, the same one for each step of a chain. */
export interface RecordImage {
  bytes: Buffer;
  at: number;
}

export interface SectionPagesSettings {
  readonly pageSize: number;
  readonly recordSize: number;
  readonly cachePages: number;
  /** How links are read; without it no record has one. */
  readonly readLink?: ReadLink | undefined;
}

/** Consecutive pages that are read together. */
interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** Bytes of a stretch: no more than the disk reads at once where it is warm. */
const stretchBytesMax = 64 * 1024;

/** Bytes of memory for pages that one reading leaves to the next. */
const memoryKeptMax = 1 << 20;

export class SectionPages {
  readonly #pageSize: number;
  readonly #physicalSize: number;
  readonly #stretchPages: number;
  readonly #cache: PageCache;
  readonly #links: RecordLinks | undefined;
  /** Where pages are read to before they are checked; undefined while a reading has it. */
  #memory: Buffer | undefined;

  constructor({ pageSize, recordSize, cachePages, readLink }: SectionPagesSettings) {
    this.#pageSize = pageSize;
    this.#physicalSize = physicalPageSize(pageSize);
    this.#stretchPages = Math.max(1, Math.floor(stretchBytesMax / this.#physicalSize));
    this.#cache = new PageCache(pageSize, cachePages);
    this.#links = readLink && new RecordLinks(pageSize, recordSize, readLink);
  }

  /** Says where the record is that begins at `at` of a page; false when the page was not read before or ends before it. */
  peek(section: number, page: number, at: number, size: number, image: RecordImage): boolean {
    const frame = this.#find(section, page);
    if (frame < 0 || at + size > this.#cache.sizeOf(frame)) return false;
    image.bytes = this.#cache.memoryOf(frame);
    image.at = this.#cache.startOf(frame) + at;
    return true;
  }

  /** As `peek`, for the record's link. Touches no link: whether there is one, `hasLink` tells. */
  findLink(section: number, page: number, at: number, size: number, place: LinkPlace): boolean {
    const links = this.#links;
    if (links === undefined) return false;
    const frame = this.#find(section, page);
    if (frame < 0 || at + size > this.#cache.sizeOf(frame)) return false;
    if (links.find(frame, at, place)) return true;
    if (!links.ask(frame)) return false;
    links.read(frame, page, this.#pageIn(frame));
    return links.find(frame, at, place);
  }

  /** Data of a page that was read before and found good. Good until the next turn of the event loop. */
  cached(section: number, page: number): Buffer | undefined {
    const frame = this.#find(section, page);
    if (frame < 0) return undefined;
    const { bytes, start, size } = this.#pageIn(frame);
    return bytes.subarray(start, start + size);
  }

  /**
   * Reads pages of a section and hands each to `use`, with its data or what is wrong with it; those that the file does
   * not have are left out. Pages below `unchanging` will never be written again: of those some more may be read and kept.
   */
  async read(
    section: number,
    blob: Blob,
    wanted: readonly number[],
    unchanging: number,
    use: (pages: ReadonlyMap<number, Buffer | BlobError>) => void,
  ): Promise<void> {
    const inFile = wanted.filter((page) => (page + 1) * this.#physicalSize <= blob.size);
    const end = Math.min(unchanging, Math.floor(blob.size / this.#physicalSize));
    const isAlone = this.#cache.free < this.#stretchPages || this.#stretchPages === 1;
    if (!isAlone) {
      try {
        return await this.#readStretches(section, blob, inFile, this.#stretchesAround(inFile, end), use);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
      }
    }
    const alone = inFile.map((page) => ({ first: page, count: 1 }));
    await this.#readStretches(section, blob, inFile, alone, use);
  }

  /** For each wanted page the aligned stretch that it lies in, each once; one that may still change comes alone. */
  #stretchesAround(wanted: readonly number[], end: number): readonly Stretch[] {
    const stretches = new Map<number, Stretch>();
    for (const page of wanted) {
      const start = page - (page % this.#stretchPages);
      const stretch =
        page >= end ? { first: page, count: 1 } : { first: start, count: Math.min(this.#stretchPages, end - start) };
      stretches.set(stretch.first, stretch);
    }
    return [...stretches.values()];
  }

  async #readStretches(
    section: number,
    blob: Blob,
    wanted: readonly number[],
    stretches: readonly Stretch[],
    use: (pages: ReadonlyMap<number, Buffer | BlobError>) => void,
  ): Promise<void> {
    const size = this.#physicalSize;
    const memory = this.#takeMemory(stretches.reduce((sum, { count }) => sum + count, 0) * size);
    let at = 0;
    const reads = stretches.map(({ first, count }) => {
      const into = memory.subarray(at, at + count * size);
      at += into.length;
      return { offset: first * size, into };
    });
    await blob.readMany(reads);
    const isWanted = new Set(wanted);
    const pages = new Map<number, Buffer | BlobError>();
    for (const { offset, into } of reads) {
      for (let from = 0; from < into.length; from += size) {
        const page = (offset + from) / size;
        if (!isWanted.has(page) && this.#find(section, page) >= 0) continue;
        const checked = this.#check(section, blob, page, into.subarray(from, from + size));
        if (isWanted.has(page)) pages.set(page, checked);
      }
    }
    use(pages);
    if (memory.length <= memoryKeptMax) this.#memory = memory;
  }

  /** The page's data, which the cache keeps, or what is wrong with it. */
  #check(section: number, blob: Blob, page: number, bytes: Buffer): Buffer | BlobError {
    const checksum = validatePage(bytes, this.#pageSize);
    if (checksum === undefined) return pageDamage(blob, this.#pageSize, page, bytes);
    const data = bytes.subarray(0, checksum.size);
    if (!isCachable(section, page)) return data;
    const frame = this.#cache.put(section, page, data);
    this.#links?.forget(frame);
    return data;
  }

  #pageIn(frame: number): FramedPage {
    const cache = this.#cache;
    return { bytes: cache.memoryOf(frame), start: cache.startOf(frame), size: cache.sizeOf(frame) };
  }

  #find(section: number, page: number): number {
    return isCachable(section, page) ? this.#cache.find(section, page) : -1;
  }

  /** So much memory: that of the last reading if it is free and large enough. */
  #takeMemory(size: number): Buffer {
    const memory = this.#memory;
    this.#memory = undefined;
    return memory !== undefined && memory.length >= size ? memory : Buffer.allocUnsafeSlow(size);
  }
}

function isCachable(section: number, page: number): boolean {
  return section <= cachedNumberMax && page <= cachedNumberMax;
}

/** Reads one page; no checksum that matches is corruption. */
export async function readPage(blob: Blob, pageSize: number, page: number): Promise<ReadPage> {
  const size = physicalPageSize(pageSize);
  const bytes = Buffer.allocUnsafe(size);
  await blob.read(page * size, bytes);
  const checksum = validatePage(bytes, pageSize);
  if (checksum === undefined) throw pageDamage(blob, pageSize, page, bytes);
  return { data: bytes, checksum };
}

function pageDamage(blob: Blob, pageSize: number, page: number, bytes: Buffer): BlobError {
  return corruption(`page ${page} of ${pageSize} bytes`, {
    file: blob.path,
    offset: headerSize + page * physicalPageSize(pageSize),
    expected: 'a matching checksum',
    found: bytes.toString('hex', pageSize),
  });
}
