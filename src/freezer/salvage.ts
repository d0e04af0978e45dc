/**
 * Reads what is readable of a store without table and checkpoint, and says what is lost. Changes nothing and guesses
 * nothing: a record counts only when pages vouch for all of it, when its value has a matching checksum, and when it
 * lies where the record before it ends.
 *
 * Bytes behind the last readable record are told as a loss, too: nothing here can tell a commit that a crash has torn
 * from one that was damaged later.
 */
import { codeOf, messageOf } from '../base/errors.ts';
import type { Blob } from '../blob/blob.ts';
import { isUnfinishedBlob } from '../blob/blob.ts';
import { headerSize } from '../blob/header.ts';
import { governingSize, physicalPageSize } from '../blob/page.ts';
import { crcSize } from '../codec/crc32c.ts';
import type { Disk } from '../disk/disk.ts';
import { closeJournalFiles, type JournalFiles, journalFiles } from '../journal/journal-files.ts';
import { streamPages } from '../journal/page-stream.ts';
import { checkFrame } from '../journal/value-log.ts';
import { FrameCoding } from './frame-coding.ts';
import { readRecord, recordLayout } from './key-record.ts';
import type { StoredRecord } from './records.ts';
import type { FreezerSettings } from './settings.ts';
import { checkSettings } from './settings-check.ts';

/** Something that cannot be had any more. */
export interface Loss {
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly reason: string;
  readonly section: number;
  /** Record that the loss is about, where it is about one. */
  readonly position?: number;
  /** It lies behind the last readable record of its section: a crash leaves this, too. */
  readonly isTail?: true;
}

export type Salvaged<V> =
  | { readonly kind: 'record'; readonly record: StoredRecord<V> }
  | { readonly kind: 'lost'; readonly loss: Loss };

/** Every record of the store in the order of the archive, and every loss where it is met. */
export async function* salvage<V>(disk: Disk, settings: FreezerSettings<V>): AsyncGenerator<Salvaged<V>> {
  checkSettings(settings);
  const layout = recordLayout(settings.keySize);
  const files = journalFiles(disk, { ...settings, pageSize: settings.keyPageCache.pageSize }, layout);
  const coding = new FrameCoding(settings.valueCodec, settings.valueCompression);
  try {
    const told = new Set<number>();
    for (const section of await files.keys.list()) {
      for await (const piece of salvageSection(files, coding, settings.keySize, section)) {
        told.add(section);
        yield piece;
      }
    }
    yield* orphanValues(files, told);
  } finally {
    await closeJournalFiles(files);
  }
}

/** A record's bytes with the page that they end in, or where pages do not vouch for them. */
type Piece = { readonly position: number; readonly page: number; readonly bytes: Buffer } | { readonly loss: Loss };

async function* salvageSection<V>(
  files: JournalFiles,
  coding: FrameCoding<V>,
  keySize: number,
  section: number,
): AsyncGenerator<Salvaged<V>> {
  const path = files.keys.path(section);
  if (await isUnfinishedBlob(files.disk, path)) return;
  let keys: Blob;
  let values: Blob | undefined;
  try {
    keys = await files.keys.acquire(section);
  } catch (error) {
    yield lost({ section, file: path, offset: 0, reason: messageOf(error) });
    return;
  }
  try {
    values = await files.values.acquire(section);
  } catch (error) {
    yield lost({ section, file: files.values.path(section), offset: 0, reason: messageOf(error) });
    if (codeOf(error) === undefined) throw error;
    return;
  }
  const order = new RecordOrder(values.size);
  for await (const piece of pieces(files, keys, section)) {
    if ('loss' in piece) order.skip();
    if ('loss' in piece) yield lost(piece.loss);
    else yield await salvageRecord({ files, coding, keySize, section, values, order }, piece);
  }
  if (order.isWhole && order.end < values.size) {
    const reason = `${values.size - order.end} bytes that no record names`;
    yield lost({ section, file: values.path, offset: headerSize + order.end, reason, isTail: true });
  }
}

/** The section's payload cut into records; a damaged page costs the records that it has a part of. */
async function* pieces(files: JournalFiles, blob: Blob, section: number): AsyncGenerator<Piece> {
  const { pageSize, layout } = files;
  const physical = physicalPageSize(pageSize);
  const pageCount = Math.floor(blob.size / physical);
  let carry: Buffer = Buffer.alloc(0);
  let carryAt = 0;
  for await (const { page, bytes, checksum } of streamPages(blob, pageSize, 0)) {
    const pageStart = page * pageSize;
    const good = checksum?.size ?? 0;
    if (carryAt + carry.length !== pageStart) {
      carry = Buffer.alloc(0);
      carryAt = firstRecordIn(pageStart, layout.size);
    }
    const skip = Math.max(0, carryAt - pageStart);
    const part = skip < good ? bytes.subarray(skip, good) : Buffer.alloc(0);
    const payload = Buffer.concat([carry, part]);
    const start = carryAt;
    let at = 0;
    for (; at + layout.size <= payload.length; at += layout.size) {
      const position = (start + at) / layout.size;
      yield { position, page, bytes: Buffer.from(payload.subarray(at, at + layout.size)) };
    }
    carry = payload.subarray(at);
    carryAt = start + at;
    const isLast = page + 1 === pageCount;
    const written = Math.min(pageSize, governingSize(bytes, pageSize));
    if (checksum !== undefined && (good === pageSize || (isLast && good === written))) continue;
    const reason = `page ${page}: ${good} of ${isLast ? Math.max(good, written) : pageSize} bytes have a matching checksum`;
    const loss = { section, file: blob.path, offset: headerSize + page * physical, reason };
    yield { loss: isLast ? { ...loss, isTail: true } : loss };
  }
  if (pageCount * physical === blob.size) return;
  const reason = `${blob.size - pageCount * physical} bytes behind the last whole page`;
  yield { loss: { section, file: blob.path, offset: headerSize + pageCount * physical, reason, isTail: true } };
}

function firstRecordIn(offset: number, recordSize: number): number {
  return Math.ceil(offset / recordSize) * recordSize;
}

/**
 * Whether records follow each other as they were written: each value begins where the one before it ends. Behind a
 * page that is lost, or that holds records of another place, it begins anywhere further on in the file.
 */
class RecordOrder {
  readonly #valueBytes: number;
  #end = 0;
  #skipped = false;
  #strayPage: number | undefined;

  constructor(valueBytes: number) {
    this.#valueBytes = valueBytes;
  }

  /** Where the last value ends that was in order. */
  get end(): number {
    return this.#end;
  }

  /** Nothing was passed over behind the last record in order. */
  get isWhole(): boolean {
    return !this.#skipped && this.#strayPage === undefined;
  }

  /** Records are missing here. */
  skip(): void {
    this.#skipped = true;
  }

  accepts(page: number, offset: number, size: number): boolean {
    const isFree = this.#skipped || (this.#strayPage !== undefined && this.#strayPage !== page);
    const follows = isFree ? offset >= this.#end && offset + size <= this.#valueBytes : offset === this.#end;
    if (!follows) {
      this.#strayPage = page;
      return false;
    }
    this.#end = offset + size;
    this.#skipped = false;
    this.#strayPage = undefined;
    return true;
  }
}

interface SalvageContext<V> {
  readonly files: JournalFiles;
  readonly coding: FrameCoding<V>;
  readonly keySize: number;
  readonly section: number;
  readonly values: Blob;
  readonly order: RecordOrder;
}

async function salvageRecord<V>(
  { files, coding, keySize, section, values, order }: SalvageContext<V>,
  { position, page, bytes }: { readonly position: number; readonly page: number; readonly bytes: Buffer },
): Promise<Salvaged<V>> {
  const file = files.values.path(section);
  try {
    const record = readRecord(bytes, 0, keySize);
    const cursor = { section, offset: record.valueOffset, size: record.valueSize };
    const place = { section, file, offset: cursor.offset + headerSize, position };
    if (!order.accepts(page, cursor.offset, cursor.size)) {
      return lost({
        ...place,
        reason: `the record does not follow the one before it, whose value ends at ${order.end}`,
      });
    }
    if (cursor.size < crcSize || cursor.offset + cursor.size > values.size) {
      return lost({ ...place, reason: `value of ${cursor.size} bytes is not in the file` });
    }
    const frame = Buffer.allocUnsafe(cursor.size);
    await values.read(cursor.offset, frame);
    const data = checkFrame(frame, file, cursor.offset);
    if (data instanceof Error) return lost({ ...place, reason: data.message });
    const value = await coding.decode(data);
    return {
      kind: 'record',
      record: { key: record.key, next: record.next, value, cursor, position: { section, position } },
    };
  } catch (error) {
    return lost({ section, file, offset: headerSize, position, reason: messageOf(error) });
  }
}

/** Values of sections that nothing was told about: their key section is missing or has no record. */
async function* orphanValues(
  files: JournalFiles,
  told: ReadonlySet<number>,
): AsyncGenerator<{ readonly kind: 'lost'; readonly loss: Loss }> {
  for (const section of await files.values.list()) {
    const size = await files.values.fileSize(section);
    if (told.has(section) || size === undefined || size <= headerSize) continue;
    const file = files.values.path(section);
    yield lost({ section, file, offset: headerSize, reason: 'values without a record of theirs', isTail: true });
  }
}

function lost(loss: Loss): { readonly kind: 'lost'; readonly loss: Loss } {
  return { kind: 'lost', loss };
}
