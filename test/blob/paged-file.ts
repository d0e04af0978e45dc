import { assert } from '../../src/base/assert.ts';
import { physicalPageSize, validatePage } from '../../src/blob/page.ts';
import { PagedTail } from '../../src/blob/paged-tail.ts';
import type { DiskWrite } from '../../src/disk/disk.ts';

/** A paged file in memory: what a tail stages is applied at once, and reopening reads it back as recovery does. */
export class PagedFile {
  readonly pageSize: number;
  bytes = Buffer.alloc(0);
  #tail: PagedTail;

  constructor(pageSize: number) {
    this.pageSize = pageSize;
    this.#tail = new PagedTail(pageSize, 0);
  }

  get size(): number {
    return this.#tail.size;
  }

  append(data: Uint8Array): void {
    const { into, at } = this.#tail.reserve(data.length);
    into.set(data, at);
  }

  /** Writes what was appended and gives the writes. */
  sync(): readonly DiskWrite[] {
    const writes = this.#write({ partial: true });
    this.#tail.synced();
    return writes;
  }

  /** Writes whole pages only, without a sync. */
  overflow(): readonly DiskWrite[] {
    return this.#write({ partial: false });
  }

  /** The physical page. */
  page(index: number): Buffer {
    const size = physicalPageSize(this.pageSize);
    return this.bytes.subarray(index * size, (index + 1) * size);
  }

  /** The 12 bytes behind a page's data, in hex. */
  record(index: number): string {
    return this.page(index).toString('hex', this.pageSize);
  }

  /** Goes on with what the file holds, up to its last page that is valid. Gives the payload size. */
  reopen(): number {
    let pageCount = Math.floor(this.bytes.length / physicalPageSize(this.pageSize));
    while (pageCount > 0 && validatePage(this.page(pageCount - 1), this.pageSize) === undefined) pageCount--;
    const data = Buffer.from(pageCount === 0 ? Buffer.alloc(0) : this.page(pageCount - 1));
    const checksum = pageCount === 0 ? undefined : validatePage(data, this.pageSize);
    const size = checksum === undefined ? 0 : (pageCount - 1) * this.pageSize + checksum.size;
    const partial = checksum === undefined || checksum.size === this.pageSize ? undefined : { data, checksum };
    this.#tail = new PagedTail(this.pageSize, size, partial);
    return size;
  }

  /** The payload that checksums vouch for. */
  payload(): Buffer {
    const parts: Buffer[] = [];
    for (let index = 0; index * physicalPageSize(this.pageSize) < this.bytes.length; index++) {
      const checksum = validatePage(this.page(index), this.pageSize);
      assert(checksum !== undefined, `page ${index} is invalid`);
      parts.push(this.page(index).subarray(0, checksum.size));
    }
    return Buffer.concat(parts);
  }

  #write(options: { readonly partial: boolean }): readonly DiskWrite[] {
    const staged = this.#tail.stage(options);
    if (staged === undefined) return [];
    for (const { offset, bytes } of staged.writes) this.#apply(offset, bytes);
    this.#tail.settled(staged);
    return staged.writes;
  }

  #apply(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(offset + bytes.length - this.bytes.length)]);
    }
    this.bytes.set(bytes, offset);
  }
}
