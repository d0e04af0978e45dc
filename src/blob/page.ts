/**
 * A physical page of the key index: `pageSize` data bytes and a record of two checksums. FORMAT.md section 6.2.
 *
 * | record offset | bytes | field |
 * |---|---|---|
 * | 0 | 2 | size covered by the first checksum, 0 = not in use |
 * | 2 | 4 | first checksum |
 * | 6 | 2 | size covered by the second checksum |
 * | 8 | 4 | second checksum |
 *
 * The checksum with the larger size governs, the first on a tie. When it does not match, the other one decides.
 */
import { crc32c, crcSize } from '../codec/crc32c.ts';
import { u16Size } from '../codec/integer.ts';

export const pageSizeMax = 0xffff;
const checksumSize = u16Size + crcSize;
export const pageRecordSize = 2 * checksumSize;

/** Which of the two checksums of a page. */
export type ChecksumSlot = 0 | 1;

/** A checksum that matched the page, or was written to it. */
export interface PageChecksum {
  readonly slot: ChecksumSlot;
  /** Data bytes that it covers, from the start of the page. */
  readonly size: number;
  readonly crc: number;
}

export function physicalPageSize(pageSize: number): number {
  return pageSize + pageRecordSize;
}

/** Offset of a checksum in a physical page. */
export function checksumOffset(pageSize: number, slot: ChecksumSlot): number {
  return pageSize + slot * checksumSize;
}

export function otherSlot(slot: ChecksumSlot): ChecksumSlot {
  return slot === 0 ? 1 : 0;
}

/** The 6 bytes of a checksum in a page record. */
export function encodeChecksum(size: number, crc: number): Buffer {
  const bytes = Buffer.allocUnsafe(checksumSize);
  bytes.writeUInt16BE(size, 0);
  bytes.writeUInt32BE(crc, u16Size);
  return bytes;
}

/** The checksum in one slot of the page, when it is in use and matches. */
export function matchingChecksum(page: Buffer, pageSize: number, slot: ChecksumSlot): PageChecksum | undefined {
  const at = checksumOffset(pageSize, slot);
  const size = page.readUInt16BE(at);
  if (size === 0 || size > pageSize) return undefined;
  const crc = page.readUInt32BE(at + u16Size);
  return crc32c(page.subarray(0, size)) === crc ? { slot, size, crc } : undefined;
}

/** Bytes that the page's newest checksum was written for, whether it matches or not; 0 when none is in use. */
export function governingSize(page: Buffer, pageSize: number): number {
  return Math.max(...([0, 1] as const).map((slot) => page.readUInt16BE(checksumOffset(pageSize, slot))));
}

/** The checksum that vouches for a physical page, or `undefined` when none does. */
export function validatePage(page: Buffer, pageSize: number): PageChecksum | undefined {
  const first = page.readUInt16BE(checksumOffset(pageSize, 0));
  const second = page.readUInt16BE(checksumOffset(pageSize, 1));
  const governing: ChecksumSlot = second > first ? 1 : 0;
  if (page.readUInt16BE(checksumOffset(pageSize, governing)) === 0) return undefined;
  return matchingChecksum(page, pageSize, governing) ?? matchingChecksum(page, pageSize, otherSlot(governing));
}
