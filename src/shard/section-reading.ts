/**
 * Reads a part of a section as it was written, record by record, and proves it on the way: every page of the key index
 * and every frame of a value against its checksum, and that the values follow each other without a gap.
 *
 * Takes no lock and may run beside the shard's owner, for what a durable checkpoint covers never changes. The one
 * exception is the page that the growing section ends in: it can be met in the middle of a write. What the checkpoint
 * covers of it is whole again when the write is over, so that page is read a few times before it counts as damaged.
 */
import { present } from '../base/assert.ts';
import { yieldToLoop } from '../base/yield.ts';
import type { Blob } from '../blob/blob.ts';
import { BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import { crcSize } from '../codec/crc32c.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { type JournalFiles, placeOfValue } from '../journal/journal-files.ts';
import { streamPages } from '../journal/page-stream.ts';
import { readPage } from '../journal/section-pages.ts';
import { checkFrame } from '../journal/value-log.ts';
import type { ValueRange } from '../journal/verify-committed.ts';

export interface SectionPart {
  readonly files: JournalFiles;
  /** Where it begins: the end of a record. */
  readonly from: JournalEnd;
  /** Where it ends, in the same section: at or below the end of a checkpoint, or of the sealed section. */
  readonly end: JournalEnd;
  /** Told about each damage with its place. When it does not throw, reading goes on behind it. */
  readonly damaged: (error: BlobError) => void;
  /** Bytes of values in a stretch, unless a single one is larger; 1 MiB if not given. */
  readonly stretchBytes?: number;
}

/** Records that follow each other, and the frames of their values. */
export interface Stretch {
  /** Payload of the key index: whole records. */
  readonly keys: Buffer;
  readonly values: Buffer;
}

const stretchBytesDefault = 1 << 20;
/** Times that the growing section's last page is read. */
const pageReadsMax = 8;

/** All of the part in order; what is damaged is told and left out. Without damage the stretches are all of it. */
export async function* readSection(part: SectionPart): AsyncGenerator<Stretch> {
  const { files, end } = part;
  if (end.keyBytes === part.from.keyBytes) return;
  const keys = await files.keys.acquire(end.section);
  try {
    const values = await files.values.acquire(end.section);
    try {
      yield* stretches(part, keys, values);
    } finally {
      await files.values.release(end.section);
    }
  } finally {
    await files.keys.release(end.section);
  }
}

async function* stretches(part: SectionPart, keys: Blob, values: Blob): AsyncGenerator<Stretch> {
  const { files, from, end, damaged } = part;
  const { size } = files.layout;
  const stretchBytes = part.stretchBytes ?? stretchBytesDefault;
  let stretch = new OpenStretch(values, stretchBytes);
  let { keyBytes: keyEnd, valueBytes: valueEnd } = from;
  let isWhole = true;
  for await (const { first, bytes, follows } of recordsIn(part, keys)) {
    isWhole &&= follows;
    for (let at = 0; at < bytes.length; at += size) {
      const position = first + at / size;
      keyEnd = (position + 1) * size;
      const value = followingValue(part, position, bytes, at, { valueEnd, isWhole });
      if (value instanceof BlobError) {
        isWhole = false;
        damaged(value);
        continue;
      }
      if (!stretch.takes(value)) {
        yield await stretch.read(damaged);
        stretch = new OpenStretch(values, stretchBytes);
      }
      stretch.add(bytes.subarray(at, at + size), value);
      valueEnd = value.offset + value.size;
      isWhole = true;
    }
  }
  yield await stretch.read(damaged);
  if (isWhole && keyEnd === end.keyBytes && valueEnd !== end.valueBytes) damaged(otherEnd(part, valueEnd));
}

/** Where a record says that its value is: behind the one before, or further on when records in between are lost. */
function followingValue(
  { files, end }: SectionPart,
  position: number,
  bytes: Buffer,
  at: number,
  { valueEnd, isWhole }: { readonly valueEnd: number; readonly isWhole: boolean },
): ValueRange | BlobError {
  const place = { section: end.section, position };
  try {
    const value = placeOfValue(files, place, bytes, at);
    const follows = isWhole ? value.offset === valueEnd : value.offset >= valueEnd;
    if (follows && value.size >= crcSize && value.offset + value.size <= end.valueBytes) return value;
    const expected = `a value ${isWhole ? 'at' : 'at or behind'} ${valueEnd}, up to ${end.valueBytes} at most`;
    return recordDamage(files, place, expected, `${value.size} bytes at ${value.offset}`);
  } catch (error) {
    if (error instanceof BlobError) return error;
    throw error;
  }
}

interface RecordBatch {
  /** Position of the first record. */
  readonly first: number;
  /** Whole records. */
  readonly bytes: Buffer;
  /** Nothing is missing before them. */
  readonly follows: boolean;
}

/** The part's records, as many together as end in a page; those that a damaged page has a part of are left out. */
async function* recordsIn(part: SectionPart, keys: Blob): AsyncGenerator<RecordBatch> {
  const { size } = part.files.layout;
  let carry: Buffer = Buffer.alloc(0);
  let carryAt = part.from.keyBytes;
  let follows = true;
  for await (const { at, bytes } of payloadOf(part, keys)) {
    if (carryAt + carry.length !== at) {
      follows = false;
      carry = Buffer.alloc(0);
      carryAt = Math.ceil(at / size) * size;
    }
    const payload = Buffer.concat([carry, bytes.subarray(Math.max(0, carryAt - at))]);
    const whole = payload.length - (payload.length % size);
    if (whole > 0) {
      yield { first: carryAt / size, bytes: payload.subarray(0, whole), follows };
      follows = true;
    }
    carry = payload.subarray(whole);
    carryAt += whole;
  }
}

interface PagePayload {
  /** Payload offset of the first byte. */
  readonly at: number;
  readonly bytes: Buffer;
}

/** What the pages hold of the part, page by page. */
async function* payloadOf({ files, from, end, damaged }: SectionPart, keys: Blob): AsyncGenerator<PagePayload> {
  const { pageSize } = files;
  const pageCount = Math.ceil(end.keyBytes / pageSize);
  let next = Math.floor(from.keyBytes / pageSize);
  for await (const { page, bytes, checksum } of streamPages(keys, pageSize, next)) {
    if (page >= pageCount) return;
    next = page + 1;
    const start = page * pageSize;
    const wanted = Math.min(pageSize, end.keyBytes - start);
    const data = (checksum?.size ?? 0) >= wanted ? bytes : await readAgain(keys, pageSize, page, wanted);
    const at = Math.max(start, from.keyBytes);
    if (data instanceof BlobError) damaged(data);
    else yield { at, bytes: data.subarray(at - start, wanted) };
  }
  if (next < pageCount) damaged(pageDamage(keys, pageSize, next, `${pageCount} pages`, `a file of ${next}`));
}

/** The page's data once its checksum covers what is wanted; the last finding when it never does. */
async function readAgain(keys: Blob, pageSize: number, page: number, wanted: number): Promise<Buffer | BlobError> {
  let finding: BlobError | undefined;
  for (let read = 0; read < pageReadsMax; read++) {
    await yieldToLoop();
    try {
      const { data, checksum } = await readPage(keys, pageSize, page);
      if (checksum.size >= wanted) return data;
      const expected = `a matching checksum over ${wanted} bytes`;
      finding = pageDamage(keys, pageSize, page, expected, `one over ${checksum.size}`);
    } catch (error) {
      if (!(error instanceof BlobError)) throw error;
      finding = error;
    }
  }
  return present(finding, 'what is wrong with the page');
}

/** Records that are being collected. */
class OpenStretch {
  readonly #values: Blob;
  readonly #sizeMax: number;
  readonly #records: Buffer[] = [];
  readonly #sizes: number[] = [];
  #start = 0;
  #size = 0;

  constructor(values: Blob, sizeMax: number) {
    this.#values = values;
    this.#sizeMax = sizeMax;
  }

  takes({ offset, size }: ValueRange): boolean {
    if (this.#sizes.length === 0) return true;
    return offset === this.#start + this.#size && this.#size + size <= this.#sizeMax;
  }

  add(record: Buffer, { offset, size }: ValueRange): void {
    if (this.#sizes.length === 0) this.#start = offset;
    this.#records.push(record);
    this.#sizes.push(size);
    this.#size += size;
  }

  /** Reads the values and checks each frame. */
  async read(damaged: SectionPart['damaged']): Promise<Stretch> {
    const values = Buffer.allocUnsafe(this.#size);
    try {
      if (this.#size > 0) await this.#values.read(this.#start, values);
    } catch (error) {
      if (!(error instanceof BlobError)) throw error;
      damaged(error);
      return { keys: Buffer.alloc(0), values: Buffer.alloc(0) };
    }
    let at = 0;
    for (const size of this.#sizes) {
      const checked = checkFrame(values.subarray(at, at + size), this.#values.path, this.#start + at);
      if (checked instanceof BlobError) damaged(checked);
      at += size;
    }
    return { keys: Buffer.concat(this.#records), values };
  }
}

function pageDamage(keys: Blob, pageSize: number, page: number, expected: string, found: string): BlobError {
  const offset = headerSize + page * physicalPageSize(pageSize);
  return corruption(`page ${page}`, { file: keys.path, offset, expected, found });
}

function recordDamage(
  files: JournalFiles,
  { section, position }: { readonly section: number; readonly position: number },
  expected: string,
  found: string,
): BlobError {
  const page = Math.floor((position * files.layout.size) / files.pageSize);
  const offset = headerSize + page * physicalPageSize(files.pageSize);
  return corruption(`record ${position}`, { file: files.keys.path(section), offset, expected, found });
}

function otherEnd({ files, end }: SectionPart, valueEnd: number): BlobError {
  const place = { file: files.values.path(end.section), offset: headerSize + valueEnd };
  return corruption('section', { ...place, expected: `values up to ${end.valueBytes}`, found: `up to ${valueEnd}` });
}
