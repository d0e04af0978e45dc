/**
 * The growing end of a paged file: what was appended, and how it gets to the disk.
 *
 * Memory holds the payload from the first page that is not full on disk on, so the prefix of a partial page is here
 * too. `stage` turns it into writes and `settled` drops what those writes made unnecessary; between the two the
 * bytes are read from here and further appends go on behind the staged end. FORMAT.md section 6.2.
 *
 * Invariants: bytes of a page that a checksum on disk covers, and that checksum, are never rewritten; a page gets at
 * most one new partial checksum between two fsyncs, else a crash could tear both (`synced` says when one returned).
 *
 * Crash behaviour: writes that were staged but not synced may be there in part. The protected checksum of the first
 * page still matches then, because the staged writes go around it and what it covers.
 */
import { assert } from '../base/assert.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { DiskWrite } from '../disk/disk.ts';
import { checksumOffset, encodeChecksum, otherSlot, type PageChecksum, physicalPageSize } from './page.ts';

/** A place in a buffer to be filled by the caller at once. */
export interface Reserved {
  readonly into: Buffer;
  readonly at: number;
}

export interface StagedPages {
  readonly writes: readonly DiskWrite[];
  /** Payload size that the writes bring to the disk. */
  readonly size: number;
  readonly checksum: PageChecksum | undefined;
}

const memorySizeMin = 64 * 1024;

export class PagedTail {
  readonly #pageSize: number;
  #memory: Buffer;
  /** Payload offset of the first byte in memory: the start of a page. */
  #start: number;
  #size: number;
  /** Payload that is on disk under a checksum, synced or not. */
  #written: number;
  /** The checksum on disk that protects the page at `#start`, if it is partial there. */
  #protected: PageChecksum | undefined;
  #partialSinceSync = false;

  /** Goes on behind `size` payload bytes; a partial last page is given with its data and the checksum that matched. */
  constructor(pageSize: number, size: number, partial?: { readonly data: Buffer; readonly checksum: PageChecksum }) {
    const prefix = size % pageSize;
    assert((partial?.checksum.size ?? 0) === prefix, 'the partial page is given when there is one');
    this.#pageSize = pageSize;
    this.#memory = Buffer.allocUnsafeSlow(Math.max(memorySizeMin, pageSize));
    this.#start = size - prefix;
    this.#size = size;
    this.#written = size;
    this.#protected = partial?.checksum;
    partial?.data.copy(this.#memory, 0, 0, prefix);
  }

  /** Payload offset from which on `read` serves. */
  get start(): number {
    return this.#start;
  }

  get size(): number {
    return this.#size;
  }

  /** Payload bytes that are in no write yet. */
  get pending(): number {
    return this.#size - this.#written;
  }

  /** Appends `size` bytes that the caller fills before anything else happens. */
  reserve(size: number): Reserved {
    const at = this.#size - this.#start;
    if (at + size > this.#memory.length) this.#grow(at + size);
    this.#size += size;
    return { into: this.#memory, at };
  }

  /** Where the payload from `offset` on, at or behind `start`, is in memory now. */
  image(offset: number, image: { bytes: Buffer; at: number }): void {
    image.bytes = this.#memory;
    image.at = offset - this.#start;
  }

  /** Copies payload bytes from `offset` on, which must lie at or behind `start`. */
  read(offset: number, into: Buffer, at: number, size: number): void {
    assert(offset >= this.#start && offset + size <= this.#size, 'range is not in memory');
    this.#memory.copy(into, at, offset - this.#start, offset - this.#start + size);
  }

  /** The writes that bring memory to the disk: whole pages only, or the partial last one too. */
  stage(options: { readonly partial: boolean }): StagedPages | undefined {
    const size = options.partial ? this.#size : this.#size - (this.#size % this.#pageSize);
    if (size <= this.#written) return undefined;
    assert(!this.#partialSinceSync, 'a page gets one new checksum between two fsyncs');
    const pageCount = Math.ceil((size - this.#start) / this.#pageSize);
    const physical = Buffer.alloc(pageCount * physicalPageSize(this.#pageSize));
    let checksum: PageChecksum | undefined;
    for (let page = 0; page < pageCount; page++) checksum = this.#compose(physical, page, size);
    const partial = size % this.#pageSize !== 0;
    this.#partialSinceSync = partial;
    return { writes: this.#around(physical), size, checksum: partial ? checksum : undefined };
  }

  /** The staged writes are on disk: forgets what no read and no later write needs from memory. */
  settled(staged: StagedPages): void {
    const start = staged.size - (staged.size % this.#pageSize);
    const keep = this.#memory.subarray(start - this.#start, this.#size - this.#start);
    const memory =
      this.#memory.length > memorySizeMin && keep.length <= memorySizeMin
        ? Buffer.allocUnsafeSlow(memorySizeMin)
        : this.#memory;
    keep.copy(memory, 0);
    this.#memory = memory;
    this.#start = start;
    this.#written = staged.size;
    this.#protected = staged.checksum;
  }

  /** An fsync that began after the last `settled` has returned. */
  synced(): void {
    this.#partialSinceSync = false;
  }

  /** Lays out one physical page and gives the checksum that it gets. */
  #compose(physical: Buffer, page: number, size: number): PageChecksum {
    const base = page * physicalPageSize(this.#pageSize);
    const from = page * this.#pageSize;
    const dataSize = Math.min(this.#pageSize, size - this.#start - from);
    this.#memory.copy(physical, base, from, from + dataSize);
    const old = page === 0 ? this.#protected : undefined;
    const slot = old === undefined ? 0 : otherSlot(old.slot);
    const crc =
      old === undefined
        ? crc32c(physical.subarray(base, base + dataSize))
        : crc32c(physical.subarray(base + old.size, base + dataSize), old.crc);
    encodeChecksum(dataSize, crc).copy(physical, base + checksumOffset(this.#pageSize, slot));
    return { slot, size: dataSize, crc };
  }

  /** Cuts the composed pages into writes that leave out what the protected checksum of the first page vouches for. */
  #around(physical: Buffer): readonly DiskWrite[] {
    const base = (this.#start / this.#pageSize) * physicalPageSize(this.#pageSize);
    const cut = (from: number, to: number): DiskWrite => ({ offset: base + from, bytes: physical.subarray(from, to) });
    const old = this.#protected;
    if (old === undefined) return [cut(0, physical.length)];
    const pageEnd = physicalPageSize(this.#pageSize);
    if (old.slot === 0) {
      return [cut(old.size, this.#pageSize), cut(checksumOffset(this.#pageSize, 1), physical.length)];
    }
    const first = cut(old.size, checksumOffset(this.#pageSize, 1));
    return physical.length > pageEnd ? [first, cut(pageEnd, physical.length)] : [first];
  }

  #grow(sizeMin: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(sizeMin, this.#memory.length * 2));
    this.#memory.copy(grown, 0, 0, this.#size - this.#start);
    this.#memory = grown;
  }
}
