import { CodecError } from '../codec/codec-error.ts';
import { readU64, u32Size, u64Size, writeU64 } from '../codec/integer.ts';

/** Place of a value: with it a value is read without the table. Names no key. FORMAT.md section 9. */
export interface Cursor {
  readonly section: number;
  /** Bytes from the start of the value journal's section, header not counted. */
  readonly offset: number;
  /** Bytes of the whole frame, checksum included. */
  readonly size: number;
}

const offsetAt = u64Size;
const sizeAt = offsetAt + u64Size;
export const cursorSize = sizeAt + u32Size;

export function encodeCursor(cursor: Cursor): Buffer {
  const bytes = Buffer.allocUnsafe(cursorSize);
  writeU64(bytes, cursor.section, 0);
  writeU64(bytes, cursor.offset, offsetAt);
  bytes.writeUInt32BE(cursor.size, sizeAt);
  return bytes;
}

/** The cursor in exactly 20 bytes; any other length, or a field above 2^53, is a CodecError. */
export function decodeCursor(bytes: Buffer): Cursor {
  if (bytes.length !== cursorSize)
    throw new CodecError('malformed', `a cursor has ${cursorSize} bytes, found ${bytes.length}`);
  return { section: readU64(bytes, 0), offset: readU64(bytes, offsetAt), size: bytes.readUInt32BE(sizeAt) };
}
