/**
 * Reads what is readable of a store without table and checkpoint, and says what is lost. Changes nothing and guesses
 * nothing: a record counts only when pages vouch for all of it and its value has a matching checksum.
 */
import { codeOf, messageOf } from '../base/errors.ts';
import type { Blob } from '../blob/blob.ts';
import { isUnfinishedBlob } from '../blob/blob.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
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
  /** Record that the loss is about, where it is about one. */
  readonly position?: number;
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

/** A record's bytes, or where pages do not vouch for them. */
type Piece = { readonly position: number; readonly bytes: Buffer } | { readonly loss: Loss };

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
    yield lost({ file: path, offset: 0, reason: messageOf(error) });
    return;
  }
  try {
    values = await files.values.acquire(section);
  } catch (error) {
    yield lost({ file: files.values.path(section), offset: 0, reason: messageOf(error) });
    if (codeOf(error) === undefined) throw error;
    return;
  }
  for await (const piece of pieces(files, keys)) {
    if ('loss' in piece) yield lost(piece.loss);
    else yield await salvageRecord(files, coding, keySize, section, values, piece);
  }
}

/** The section's payload cut into records; a damaged page costs the records that it has a part of. */
async function* pieces(files: JournalFiles, blob: Blob): AsyncGenerator<Piece> {
  const { pageSize, layout } = files;
  let carry: Buffer = Buffer.alloc(0);
  let carryAt = 0;
  for await (const { page, bytes, checksum } of streamPages(blob, pageSize, 0)) {
    const pageStart = page * pageSize;
    const good = checksum?.size ?? 0;
    const skip = carryAt + carry.length === pageStart ? 0 : firstRecordIn(pageStart, layout.size) - pageStart;
    const part = skip < good ? bytes.subarray(skip, good) : Buffer.alloc(0);
    const payload = skip === 0 ? Buffer.concat([carry, part]) : part;
    const start = skip === 0 ? carryAt : pageStart + skip;
    let at = 0;
    for (; at + layout.size <= payload.length; at += layout.size) {
      yield { position: (start + at) / layout.size, bytes: Buffer.from(payload.subarray(at, at + layout.size)) };
    }
    carry = payload.subarray(at);
    carryAt = start + at;
    const isLast = (page + 1) * physicalPageSize(pageSize) + physicalPageSize(pageSize) > blob.size;
    if (checksum !== undefined && (good === pageSize || isLast)) continue;
    const offset = headerSize + page * physicalPageSize(pageSize);
    yield {
      loss: { file: blob.path, offset, reason: `page ${page}: ${good} of ${pageSize} bytes have a matching checksum` },
    };
  }
}

function firstRecordIn(offset: number, recordSize: number): number {
  return Math.ceil(offset / recordSize) * recordSize;
}

async function salvageRecord<V>(
  files: JournalFiles,
  coding: FrameCoding<V>,
  keySize: number,
  section: number,
  values: Blob,
  { position, bytes }: { readonly position: number; readonly bytes: Buffer },
): Promise<Salvaged<V>> {
  const file = files.values.path(section);
  try {
    const record = readRecord(bytes, 0, keySize);
    const cursor = { section, offset: record.valueOffset, size: record.valueSize };
    const place = { file, offset: cursor.offset + headerSize, position };
    if (cursor.size < 4 || cursor.offset + cursor.size > values.size) {
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
    return lost({ file, offset: headerSize, position, reason: messageOf(error) });
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
    yield lost({ file: files.values.path(section), offset: headerSize, reason: 'values without a record of theirs' });
  }
}

function lost(loss: Loss): { readonly kind: 'lost'; readonly loss: Loss } {
  return { kind: 'lost', loss };
}
