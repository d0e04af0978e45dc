/**
 * The second half of recovery: reads, forwards from a durable end, every record that reached the disk whole.
 *
 * In a section an invalid page ends it before that page, a page that is not full ends it behind its valid bytes,
 * whatever follows. A record counts when it is whole, lies where the last one's value ended, and its value frame has
 * a matching checksum. The next section is read only when this one is complete to its last byte: a section is durable
 * before the next one begins, so records behind an incomplete section are corruption, not a crash.
 */
import { type Blob, isUnfinishedBlob } from '../blob/blob.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import { crcSize } from '../codec/crc32c.ts';
import { compareEnds, type JournalEnd } from './journal-end.ts';
import { type JournalFiles, placeOfValue, withBlob } from './journal-files.ts';
import { streamPages } from './page-stream.ts';
import type { SectionBlobs } from './section-blobs.ts';
import { checkFrame } from './value-log.ts';

/** Records of one section behind the durable end, back to back. */
export interface TailStretch {
  readonly section: number;
  /** Position of the first. */
  readonly first: number;
  readonly count: number;
  readonly bytes: Buffer;
}

export interface JournalTail {
  /** What was read: the records' own bytes are all that recovery keeps of them in memory. */
  readonly stretches: readonly TailStretch[];
  /** End of the last record that counts. */
  readonly end: JournalEnd;
  /** Why reading ended there. */
  readonly stop: string;
}

interface SectionTail extends JournalTail {
  /** Nothing lies behind `end`, in either file. */
  readonly complete: boolean;
}

/** Reads the records behind `from`, which is durable. An end below `mark` is corruption. */
export async function readTail(
  files: JournalFiles,
  from: JournalEnd,
  mark: JournalEnd | undefined,
): Promise<JournalTail> {
  const sections = new Set(await files.keys.list());
  const stretches: TailStretch[] = [];
  let tail = await readSectionTail(files, from);
  for (;;) {
    stretches.push(...tail.stretches);
    const next = tail.end.section + 1;
    if (!sections.has(next)) break;
    const beyond = await readSectionTail(files, { section: next, keyBytes: 0, valueBytes: 0 });
    if (beyond.stretches.length === 0) break;
    if (!tail.complete) throw incomplete(files, tail);
    if (mark?.section === tail.end.section) checkMark(files, tail, mark);
    tail = beyond;
  }
  if (mark !== undefined) checkMark(files, tail, mark);
  const later = [...sections].find((section) => section > tail.end.section + 1);
  if (later !== undefined) throw gap(files, tail, later);
  return { stretches, end: tail.end, stop: tail.stop };
}

function checkMark(files: JournalFiles, tail: JournalTail, mark: JournalEnd): void {
  const short = tail.end.section === mark.section && tail.end.valueBytes < mark.valueBytes;
  if (short || compareEnds(tail.end, mark) < 0) throw belowMark(files, tail, mark);
}

async function readSectionTail(files: JournalFiles, from: JournalEnd): Promise<SectionTail> {
  for (const blobs of [files.keys, files.values]) {
    if (await isThere(files, blobs, from.section)) continue;
    return { stretches: [], end: from, stop: `${blobs.path(from.section)} is not there`, complete: false };
  }
  return withBlob(files.keys, from.section, async (keys) => {
    const payload = await readTailPayload(files, keys, from);
    return withBlob(files.values, from.section, (values) => takeRecords(files, values, from, payload));
  });
}

/** Whether the section's file is there with its header; one whose creation was interrupted is not. */
async function isThere(files: JournalFiles, blobs: SectionBlobs, section: number): Promise<boolean> {
  if ((await blobs.fileSize(section)) === undefined) return false;
  return !(await isUnfinishedBlob(files.disk, blobs.path(section)));
}

interface TailPayload {
  /** Bytes behind the durable end that a checksum vouches for. */
  readonly bytes: Buffer;
  /** The file ends with them. */
  readonly complete: boolean;
  readonly stop: string;
}

async function readTailPayload(files: JournalFiles, blob: Blob, from: JournalEnd): Promise<TailPayload> {
  const { pageSize } = files;
  const firstPage = Math.floor(from.keyBytes / pageSize);
  let skip = from.keyBytes % pageSize;
  const physical = physicalPageSize(pageSize);
  const wholeBytes = blob.size - (blob.size % physical);
  const payload = Buffer.allocUnsafeSlow(Math.max(0, wholeBytes / physical - firstPage) * pageSize);
  let size = 0;
  let stop = `${blob.path} ends`;
  let complete = wholeBytes === blob.size;
  for await (const { page, bytes, checksum } of streamPages(blob, pageSize, firstPage)) {
    const last = (page + 1) * physical === wholeBytes;
    if (checksum === undefined || checksum.size < skip) {
      stop = `${blob.path}: page ${page} is torn`;
      complete = false;
      break;
    }
    size += bytes.copy(payload, size, skip, checksum.size);
    skip = 0;
    if (checksum.size === pageSize) continue;
    stop = `${blob.path}: page ${page} ends after ${checksum.size} bytes`;
    complete &&= last;
    break;
  }
  return { bytes: payload.subarray(0, size), complete, stop };
}

/** Takes whole records with good values from the payload. */
async function takeRecords(
  files: JournalFiles,
  values: Blob,
  from: JournalEnd,
  payload: TailPayload,
): Promise<SectionTail> {
  const { layout } = files;
  const first = from.keyBytes / layout.size;
  let count = 0;
  let valueEnd = from.valueBytes;
  let { stop } = payload;
  let torn = false;
  const frames = new FrameReader(values);
  for (let at = 0; at + layout.size <= payload.bytes.length; at += layout.size) {
    const position = first + count;
    const value = placeOfValue(files, { section: from.section, position }, payload.bytes, at);
    if (value.offset !== valueEnd) throw misplaced(files, from.section, position, valueEnd, value.offset);
    if (!frames.has(value.offset, value.size)) await frames.readFrom(value.offset, value.size);
    const failure = frames.failure(value.offset, value.size);
    if (failure !== undefined) {
      stop = failure;
      torn = true;
      break;
    }
    count++;
    valueEnd += value.size;
  }
  const keyBytes = from.keyBytes + count * layout.size;
  const whole = !torn && count * layout.size === payload.bytes.length;
  const complete = whole && payload.complete && values.size === valueEnd;
  const stretches = count === 0 ? [] : [{ section: from.section, first, count, bytes: payload.bytes }];
  return { stretches, end: { section: from.section, keyBytes, valueBytes: valueEnd }, stop, complete };
}

const readAheadBytes = 1 << 20;

/** Checks frames that follow each other, reading ahead: there is nothing to wait for at most of them. */
class FrameReader {
  readonly #blob: Blob;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  /** Whether the frame is in memory, or the file does not have all of it. */
  has(offset: number, size: number): boolean {
    return !this.#isInFile(offset, size) || this.#isInMemory(offset, size);
  }

  /** Reads the frame, which the file has, and what follows it. */
  async readFrom(offset: number, size: number): Promise<void> {
    this.#bytes = Buffer.allocUnsafe(Math.min(Math.max(size, readAheadBytes), this.#blob.size - offset));
    this.#start = offset;
    await this.#blob.read(offset, this.#bytes);
  }

  /** Why the frame, which is here if the file has it, does not count; `undefined` when it does. */
  failure(offset: number, size: number): string | undefined {
    if (!this.#isInFile(offset, size)) return `${this.#blob.path}: value at ${offset} is cut off`;
    const at = offset - this.#start;
    const checked = checkFrame(this.#bytes.subarray(at, at + size), this.#blob.path, offset);
    return checked instanceof Error ? checked.message : undefined;
  }

  #isInFile(offset: number, size: number): boolean {
    return size >= crcSize && offset + size <= this.#blob.size;
  }

  #isInMemory(offset: number, size: number): boolean {
    return offset >= this.#start && offset + size <= this.#start + this.#bytes.length;
  }
}

function misplaced(files: JournalFiles, section: number, position: number, expected: number, found: number): Error {
  return corruption(`record ${position}`, {
    file: files.keys.path(section),
    offset: headerSize,
    expected: `a value at ${expected}`,
    found: `one at ${found}`,
  });
}

function incomplete(files: JournalFiles, tail: JournalTail): Error {
  return corruption(`section is not complete (${tail.stop}) but a later one has records`, {
    file: files.keys.path(tail.end.section),
    offset: headerSize,
    expected: 'a complete section',
    found: `records up to ${tail.end.keyBytes} key and ${tail.end.valueBytes} value bytes`,
  });
}

function gap(files: JournalFiles, tail: JournalTail, later: number): Error {
  return corruption(`section has no records (${tail.stop}) but ${files.keys.path(later)} is there`, {
    file: files.keys.path(tail.end.section + 1),
    offset: 0,
    expected: 'a complete section',
    found: 'none',
  });
}

function belowMark(files: JournalFiles, tail: JournalTail, mark: JournalEnd): Error {
  return corruption(`committed records are missing (${tail.stop})`, {
    file: files.keys.path(tail.end.section),
    offset: headerSize,
    expected: `records up to section ${mark.section}, ${mark.keyBytes} key and ${mark.valueBytes} value bytes`,
    found: `section ${tail.end.section}, ${tail.end.keyBytes} key and ${tail.end.valueBytes} value bytes`,
  });
}
