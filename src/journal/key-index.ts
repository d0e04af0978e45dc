/**
 * The key index journal: records of one size, numbered from 0 in each section, behind checksummed pages.
 *
 * One section grows, the others are sealed and only read. Records that are not on disk yet are read from memory.
 */
import { present } from '../base/assert.ts';
import type { Blob } from '../blob/blob.ts';
import { type BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import { PagedTail, type Reserved, type StagedPages } from '../blob/paged-tail.ts';
import type { LinkPlace, ReadLink } from './record-links.ts';
import type { SectionBlobs } from './section-blobs.ts';
import { type RecordImage, readPage, SectionPages } from './section-pages.ts';

export interface RecordPosition {
  readonly section: number;
  readonly position: number;
}

export interface KeyIndexSettings {
  readonly pageSize: number;
  readonly recordSize: number;
  readonly cachePages: number;
  /** How the link of a record is read; without it lookups look at each record. */
  readonly readLink?: ReadLink | undefined;
}

interface Tail {
  readonly section: number;
  readonly blob: Blob;
  readonly pages: PagedTail;
}

export class KeyIndex {
  readonly blobs: SectionBlobs;
  readonly #settings: KeyIndexSettings;
  readonly #pages: SectionPages;
  #tail: Tail | undefined;

  constructor(blobs: SectionBlobs, settings: KeyIndexSettings) {
    this.blobs = blobs;
    this.#settings = settings;
    this.#pages = new SectionPages(settings);
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
    const number = Math.floor(size / pageSize);
    const page = await readPage(blob, pageSize, number);
    if (page.checksum.size !== prefix) {
      throw corruption(`page ${number}`, {
        file: blob.path,
        offset: headerSize + number * physicalPageSize(pageSize),
        expected: `${prefix} bytes, the end of the section`,
        found: `${page.checksum.size} bytes`,
      });
    }
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

  /**
   * Says where the record is, when all of it is in memory: not on disk yet, or on pages that were read before. Good until
   * the next turn of the event loop. False says only that `readMany` has to be asked.
   */
  peek({ section, position }: RecordPosition, image: RecordImage): boolean {
    const { pageSize, recordSize } = this.#settings;
    const from = position * recordSize;
    if (this.#tail?.section === section) {
      const { pages } = this.#tail;
      if (from + recordSize > pages.size) return false;
      if (from >= pages.start) {
        pages.image(from, image);
        return true;
      }
    }
    const number = Math.floor(from / pageSize);
    const at = from - number * pageSize;
    if (at + recordSize <= pageSize) return this.#pages.peek(section, number, at, recordSize, image);
    const record = Buffer.allocUnsafe(recordSize);
    const partial: PartialRecord = { section, position, record, missing: recordSize, failure: undefined };
    if (!this.#fillFromCache(partial) || partial.failure !== undefined) return false;
    image.bytes = record;
    image.at = 0;
    return true;
  }

  /** As `peek`, for the record's link, if `hasLink` finds one there. False says only that the record has to be looked at. */
  findLink({ section, position }: RecordPosition, place: LinkPlace): boolean {
    const { pageSize, recordSize } = this.#settings;
    const from = position * recordSize;
    const number = Math.floor(from / pageSize);
    const at = from - number * pageSize;
    return at + recordSize <= pageSize && this.#pages.findLink(section, number, at, recordSize, place);
  }

  /** One outcome for each position: the record's bytes, or why it cannot be had. */
  async readMany(wanted: readonly RecordPosition[]): Promise<readonly (Buffer | Error)[]> {
    const partials: PartialRecord[] = [];
    const bySection = new Map<number, PartialRecord[]>();
    for (const at of wanted) {
      const partial = this.#fromMemory(at);
      partials.push(partial);
      if (partial.missing === 0 || this.#fillFromCache(partial)) continue;
      const others = bySection.get(at.section);
      if (others === undefined) bySection.set(at.section, [partial]);
      else others.push(partial);
    }
    for (const [section, absent] of bySection) await this.#fillFromFile(section, absent);
    return partials.map(({ failure, record }) => failure ?? record);
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
  #fromMemory({ section, position }: RecordPosition): PartialRecord {
    const { recordSize } = this.#settings;
    const from = position * recordSize;
    const record = Buffer.allocUnsafe(recordSize);
    const partial: PartialRecord = { section, position, record, missing: recordSize, failure: undefined };
    if (this.#tail?.section !== section) return partial;
    const { pages } = this.#tail;
    if (from + recordSize > pages.size) return failed(partial, this.#beyondEnd(section, position));
    partial.missing = Math.min(recordSize, Math.max(0, pages.start - from));
    if (partial.missing < recordSize)
      pages.read(from + partial.missing, record, partial.missing, recordSize - partial.missing);
    return partial;
  }

  /** Whether all of what is missing was in the cache. */
  #fillFromCache(partial: PartialRecord): boolean {
    return this.#fill(partial, (page) => this.#pages.cached(partial.section, page));
  }

  /** Reads the pages that the records still need. */
  async #fillFromFile(section: number, absent: readonly PartialRecord[]): Promise<void> {
    try {
      const blob = await this.blobs.acquire(section);
      try {
        await this.#pages.read(section, blob, this.#pagesOf(absent), this.#unchangingPages(section), (pages) => {
          for (const partial of absent) {
            if (!this.#fill(partial, (page) => pages.get(page)))
              failed(partial, this.#beyondEnd(section, partial.position));
          }
        });
      } finally {
        await this.blobs.release(section);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      for (const partial of absent) if (partial.missing > 0) failed(partial, error);
    }
  }

  /** Pages at the start of a section that no write touches any more. */
  #unchangingPages(section: number): number {
    return this.#tail?.section === section
      ? this.#tail.pages.start / this.#settings.pageSize
      : Number.POSITIVE_INFINITY;
  }

  #pagesOf(absent: readonly PartialRecord[]): readonly number[] {
    const { pageSize, recordSize } = this.#settings;
    const pages = new Set<number>();
    for (const { position, missing } of absent) {
      const from = position * recordSize;
      for (let page = Math.floor(from / pageSize); page * pageSize < from + missing; page++) pages.add(page);
    }
    return [...pages];
  }

  /** Copies what is missing of a record from pages. False, and nothing done, when one of them is not there. */
  #fill(partial: PartialRecord, pageAt: (page: number) => Buffer | Error | undefined): boolean {
    const { pageSize, recordSize } = this.#settings;
    let done = 0;
    while (done < partial.missing) {
      const offset = partial.position * recordSize + done;
      const page = pageAt(Math.floor(offset / pageSize));
      if (page === undefined) return false;
      if (page instanceof Error) {
        failed(partial, page);
        return true;
      }
      const within = offset % pageSize;
      const size = Math.min(pageSize - within, partial.missing - done);
      if (within + size > page.length) {
        failed(partial, this.#beyondEnd(partial.section, partial.position));
        return true;
      }
      page.copy(partial.record, done, within, within + size);
      done += size;
    }
    partial.missing = 0;
    return true;
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
  missing: number;
  failure: Error | undefined;
}

function failed(partial: PartialRecord, failure: Error): PartialRecord {
  partial.failure = failure;
  partial.missing = 0;
  return partial;
}
