/**
 * A record of the key index: a key, where its value is, and the record before it in its bucket's chain.
 * FORMAT.md section 6.1. Functions work in place on a buffer.
 */
import { messageOf } from '../base/errors.ts';
import { type BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { CodecError } from '../codec/codec-error.ts';
import { isAllOnes64, readU64, u32Size, u64Size, writeAllOnes64, writeU64 } from '../codec/integer.ts';
import { ShortChecksum } from '../codec/short-checksum.ts';
import type { RecordLayout } from '../journal/journal-files.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { ReadLink } from '../journal/record-links.ts';
import type { Cursor } from './cursor.ts';

/** Offsets behind the key. */
const nextSectionAt = 0;
const nextPositionAt = nextSectionAt + u64Size;
const valueOffsetAt = nextPositionAt + u64Size;
const valueSizeAt = valueOffsetAt + u64Size;
const recordTailSize = valueSizeAt + u32Size;

export function recordSize(keySize: number): number {
  return keySize + recordTailSize;
}

/** Where a record's value is, for the layers that know nothing else of records. */
export function recordLayout(keySize: number): RecordLayout {
  return {
    size: recordSize(keySize),
    valueOf: (bytes, at) => ({
      offset: readU64(bytes, at + keySize + valueOffsetAt),
      size: bytes.readUInt32BE(at + keySize + valueSizeAt),
    }),
  };
}

/** What a record says beside its key. */
export interface RecordTail {
  readonly next: RecordPosition | undefined;
  readonly valueOffset: number;
  /** Bytes of the value's frame. */
  readonly valueSize: number;
}

export interface KeyRecord extends RecordTail {
  /** A view of the buffer that was read. */
  readonly key: Buffer;
}

export type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Writes a record at the offset. */
export function writeRecord(
  into: Buffer,
  at: number,
  key: Uint8Array,
  next: RecordPosition | undefined,
  value: { readonly offset: number; readonly size: number },
): void {
  into.set(key, at);
  const tail = at + key.length;
  if (next === undefined) {
    writeAllOnes64(into, tail + nextSectionAt);
    writeAllOnes64(into, tail + nextPositionAt);
  } else {
    writeU64(into, next.section, tail + nextSectionAt);
    writeU64(into, next.position, tail + nextPositionAt);
  }
  writeU64(into, value.offset, tail + valueOffsetAt);
  into.writeUInt32BE(value.size, tail + valueSizeAt);
}

/** The record at the offset. A field above 2^53 is a CodecError. */
export function readRecord(bytes: Buffer, at: number, keySize: number): KeyRecord {
  return { key: bytes.subarray(at, at + keySize), ...readRecordTail(bytes, at, keySize) };
}

/** As `readRecord`, without a view of the key. */
export function readRecordTail(bytes: Buffer, at: number, keySize: number): RecordTail {
  const tail = at + keySize;
  return {
    next: nextOf(bytes, at, keySize),
    valueOffset: readU64(bytes, tail + valueOffsetAt),
    valueSize: bytes.readUInt32BE(tail + valueSizeAt),
  };
}

/** Whether the record at the offset is one of this key. */
export function isRecordOf(key: Uint8Array, bytes: Buffer, at: number): boolean {
  for (let index = 0; index < key.length; index++) if (bytes[at + index] !== key[index]) return false;
  return true;
}

/** As `readRecord`, for a record of a file: what no store writes is corruption of that file. */
export function readRecordOf(file: string, position: number, bytes: Buffer, keySize: number): KeyRecord {
  try {
    return readRecord(bytes, 0, keySize);
  } catch (error) {
    throw recordDamage(file, position, 'fields below 2^53', messageOf(error));
  }
}

/** As `readRecordOf`, for a record at some offset, without a view of the key. */
export function readRecordTailOf(
  file: string,
  position: number,
  bytes: Buffer,
  at: number,
  keySize: number,
): RecordTail {
  try {
    return readRecordTail(bytes, at, keySize);
  } catch (error) {
    throw recordDamage(file, position, 'fields below 2^53', messageOf(error));
  }
}

/** The error for a record that the page layer vouches for and no store writes. */
export function recordDamage(file: string, position: number, expected: string, found: string): BlobError {
  return corruption(`record ${position}`, { file, offset: headerSize, expected, found });
}

/**
 * Reads where the record before it in its bucket's chain is; false when there is none. A field above 2^53 is a CodecError.
 * Makes no object: a lookup asks this of each record of a chain.
 */
export function readNext(bytes: Buffer, at: number, keySize: number, into: Mutable<RecordPosition>): boolean {
  const tail = at + keySize;
  if (isAllOnes64(bytes, tail + nextSectionAt) && isAllOnes64(bytes, tail + nextPositionAt)) return false;
  into.section = readU64(bytes, tail + nextSectionAt);
  into.position = readU64(bytes, tail + nextPositionAt);
  return true;
}

/** How links are read from records with keys of this size. */
export function linkReader(keySize: number): ReadLink {
  const hashes = new ShortChecksum(keySize);
  return (bytes, at, link) => {
    link.hash = hashes.of(bytes, at);
    try {
      return readNext(bytes, at, keySize, link);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return false;
    }
  };
}

function nextOf(bytes: Buffer, at: number, keySize: number): RecordPosition | undefined {
  const next = { section: 0, position: 0 };
  return readNext(bytes, at, keySize, next) ? next : undefined;
}

/** Where the value of a record of this section is. */
export function readCursor(bytes: Buffer, at: number, keySize: number, section: number): Cursor {
  const tail = at + keySize;
  return {
    section,
    offset: readU64(bytes, tail + valueOffsetAt),
    size: bytes.readUInt32BE(tail + valueSizeAt),
  };
}

/** Whether `left` was appended before `right`. */
export function isBefore(left: RecordPosition, right: RecordPosition): boolean {
  return left.section < right.section || (left.section === right.section && left.position < right.position);
}

/** Whether both are one record, or both none. */
export function isSamePlace(left: RecordPosition | undefined, right: RecordPosition | undefined): boolean {
  return left?.section === right?.section && left?.position === right?.position;
}
