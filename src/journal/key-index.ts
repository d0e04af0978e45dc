/**
 * The key index journal: records of one size, numbered from 0 in each section, behind checksummed pages.
 *
 * One section grows, the others are sealed and only read. Records that are not on disk yet are read from memory.
 */
import { assert, present } from '../base/assert.ts';
import type { Blob } from '../blob/blob.ts';
import { BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { type PageChecksum, physicalPageSize, validatePage } from '../blob/page.ts';
import { PageCache } from '../blob/page-cache.ts';
import { PagedTail, type Reserved, type StagedPages } from '../blob/paged-tail.ts';
import type { SectionBlobs } from './section-blobs.ts';

export interface RecordPosition {
  readonly section: number;
  readonly position: number;
}

export interface KeyIndexSettings {
  readonly pageSize: number;
  readonly recordSize: number;
  readonly cachePages: number;
}

/** A page that was read: its data as far as a checksum vouches for it. */
export interface ReadPage {
  readonly data: Buffer;
  readonly checksum: PageChecksum;
}

interface Tail {
  readonly section: number;
  readonly blob: Blob;
  readonly pages: PagedTail;
}

/** Sections above this are not cached: their page numbers would not fit a key. */
const cachedSectionMax = 2 ** 20;

export class KeyIndex {
  readonly blobs: SectionBlobs;
  readonly #settings: KeyIndexSettings;
  readonly #cache: PageCache;
  #tail: Tail | undefined;

  constructor(blobs: SectionBlobs, settings: KeyIndexSettings) {
    this.blobs = blobs;
    this.#settings = settings;
    this.#cache = new PageCache(settings.cachePages);
  }

  get recordSize(): number {
    return this.#settings.recordSize;
  }

  /** Payload bytes of the growing section; 0 when it has no file yet. */
  get size(): number {
    return this.#tail?.pages.size ?? 0;
  }

  /** Bytes that are in memory only. */
  get pending(): number {
    return this.#tail?.pages.pending ?? 0;
  }

  /** Goes on at the end of a section whose file holds exactly `size` payload bytes. */
  async openTail(section: number, size: number): Promise<void> {
    const { pageSize } = this.#settings;
    const blob = await this.blobs.acquire(section);
    const prefix = size % pageSize;
    if (prefix === 0) {
      this.#tail = { section, blob, pages: new PagedTail(pageSize, size) };
      return;
    }
    const page = await readPage(blob, pageSize, Math.floor(size / pageSize));
    assert(page.checksum.size === prefix, 'recovery cut the section to its committed size');
    this.#tail = { section, blob, pages: new PagedTail(pageSize, size, page) };
  }

  /** Begins an empty section. The one before it is sealed. */
  async startSection(section: number): Promise<void> {
    const blob = await this.blobs.create(section);
    const before = this.#tail;
    this.#tail = { section, blob, pages: new PagedTail(this.#settings.pageSize, 0) };
    if (before !== undefined) await this.blobs.release(before.section);
  }

  /** Room for the next record, to be filled at once, and its position. */
  reserve(): Reserved & { readonly position: number } {
    const pages = this.#present().pages;
    const position = pages.size / this.#settings.recordSize;
    const { into, at } = pages.reserve(this.#settings.recordSize);
    return { into, at, position };
  }

  stage(options: { readonly partial: boolean }): StagedPages | undefined {
    return this.#tail?.pages.stage(options);
  }

  async write(staged: StagedPages): Promise<void> {
    const { blob, pages } = this.#present();
    await blob.writeMany(staged.writes);
    pages.settled(staged);
  }

  async sync(): Promise<void> {
    const { blob, pages } = this.#present();
    await blob.sync();
    pages.synced();
    this.blobs.synced.add();
  }

  /** One outcome for each position: the record's bytes, or why it cannot be had. */
  async readMany(wanted: readonly RecordPosition[]): Promise<readonly (Buffer | Error)[]> {
    const begun = wanted.map((at) => this.#fromMemory(at));
    const loaded = await this.#loadPages(begun);
    return begun.map((partial) => (partial instanceof Error ? partial : this.#fromPages(partial, loaded)));
  }

  async read(at: RecordPosition): Promise<Buffer> {
    const [outcome] = await this.readMany([at]);
    if (outcome instanceof Error) throw outcome;
    return present(outcome, 'the outcome of a read');
  }

  /** Payload bytes of a section that no longer grows. */
  async sealedSize(section: number): Promise<number> {
    const { pageSize } = this.#settings;
    const blob = await this.blobs.acquire(section);
    try {
      const pageCount = Math.floor(blob.size / physicalPageSize(pageSize));
      if (pageCount === 0) return 0;
      const { checksum } = await readPage(blob, pageSize, pageCount - 1);
      return (pageCount - 1) * pageSize + checksum.size;
    } finally {
      await this.blobs.release(section);
    }
  }

  async close(): Promise<void> {
    await this.blobs.close();
  }

  /** Copies what memory has of a record, now: a moment later it may have gone to the disk. */
  #fromMemory({ section, position }: RecordPosition): PartialRecord | Error {
    const { recordSize } = this.#settings;
    const from = position * recordSize;
    const record = Buffer.allocUnsafe(recordSize);
    if (this.#tail?.section !== section) return { section, position, record, missing: recordSize };
    const { pages } = this.#tail;
    if (from + recordSize > pages.size) return this.#beyondEnd(section, position);
    const missing = Math.min(recordSize, Math.max(0, pages.start - from));
    if (missing < recordSize) pages.read(from + missing, record, missing, recordSize - missing);
    return { section, position, record, missing };
  }

  /** Reads the pages that the records still need. */
  async #loadPages(records: readonly (PartialRecord | Error)[]): Promise<PagesBySection> {
    const { pageSize, recordSize } = this.#settings;
    const bySection: PagesBySection = new Map();
    for (const record of records) {
      if (record instanceof Error || record.missing === 0) continue;
      const { section } = record;
      let pages = bySection.get(section);
      if (pages === undefined) {
        pages = new Map();
        bySection.set(section, pages);
      }
      const from = record.position * recordSize;
      const last = Math.floor((from + record.missing - 1) / pageSize);
      for (let page = Math.floor(from / pageSize); page <= last; page++) {
        if (!pages.has(page)) pages.set(page, this.#cached(section, page) ?? notRead);
      }
    }
    for (const [section, pages] of bySection) await this.#load(section, pages);
    return bySection;
  }

  async #load(section: number, pages: Map<number, Buffer | Error>): Promise<void> {
    const missing = [...pages].filter(([, page]) => page === notRead).map(([page]) => page);
    if (missing.length === 0) return;
    try {
      const blob = await this.blobs.acquire(section);
      try {
        await this.#readPages(section, blob, missing, pages);
      } finally {
        await this.blobs.release(section);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      for (const page of missing) if (pages.get(page) === notRead) pages.set(page, error);
    }
  }

  async #readPages(
    section: number,
    blob: Blob,
    missing: readonly number[],
    pages: Map<number, Buffer | Error>,
  ): Promise<void> {
    const { pageSize } = this.#settings;
    const size = physicalPageSize(pageSize);
    const inFile = missing.filter((page) => (page + 1) * size <= blob.size);
    const reads = inFile.map((page) => ({ offset: page * size, into: Buffer.allocUnsafe(size) }));
    await blob.readMany(reads);
    for (const [index, page] of inFile.entries()) {
      const bytes = present(reads[index], 'a read').into;
      const checksum = validatePage(bytes, pageSize);
      if (checksum === undefined) {
        pages.set(page, pageDamage(blob, pageSize, page, bytes));
        continue;
      }
      const data = bytes.subarray(0, checksum.size);
      pages.set(page, data);
      if (section <= cachedSectionMax) this.#cache.put(cacheKey(section, page), data);
    }
  }

  #fromPages({ section, position, record, missing }: PartialRecord, loaded: PagesBySection): Buffer | Error {
    const { pageSize, recordSize } = this.#settings;
    let done = 0;
    while (done < missing) {
      const offset = position * recordSize + done;
      const page = loaded.get(section)?.get(Math.floor(offset / pageSize)) ?? notRead;
      if (page === notRead) return this.#beyondEnd(section, position);
      if (page instanceof Error) return page;
      const within = offset % pageSize;
      const size = Math.min(pageSize - within, missing - done);
      if (within + size > page.length) return this.#beyondEnd(section, position);
      page.copy(record, done, within, within + size);
      done += size;
    }
    return record;
  }

  #cached(section: number, page: number): Buffer | undefined {
    return section <= cachedSectionMax ? this.#cache.get(cacheKey(section, page)) : undefined;
  }

  #beyondEnd(section: number, position: number): BlobError {
    const file = this.blobs.path(section);
    return corruption(`record ${position}`, {
      file,
      offset:
        headerSize +
        Math.floor((position * this.recordSize) / this.#settings.pageSize) * physicalPageSize(this.#settings.pageSize),
      expected: 'a record',
      found: 'the end of the section',
    });
  }

  #present(): Tail {
    return present(this.#tail, 'the growing section');
  }
}

/** A record whose first `missing` bytes are to come from pages on disk. */
interface PartialRecord extends RecordPosition {
  readonly record: Buffer;
  readonly missing: number;
}

type PagesBySection = Map<number, Map<number, Buffer | Error>>;

/** Marks a page that is to be read; still there afterwards when the file ends before it. */
const notRead = new BlobError('out-of-range', 'page is behind the end of the file');

function cacheKey(section: number, page: number): number {
  return section * 2 ** 32 + page;
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
