/** Unsigned LEB128 of a 32-bit number, at most five bytes, decoded strictly. FORMAT.md section 8. */
import { CodecError } from './codec-error.ts';

const payloadMask = 0x7f;
const moreFollows = 0x80;
export const varintSizeMax = 5;

export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Writes the number and returns the offset behind it. */
export function writeVarint(bytes: Buffer, value: number, offset: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new CodecError('out-of-range', `${value} is no unsigned 32-bit integer`);
  let rest = value;
  let at = offset;
  while (rest >= moreFollows) {
    bytes[at++] = (rest & payloadMask) | moreFollows;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

export interface Varint {
  readonly value: number;
  /** Offset behind the last byte. */
  readonly end: number;
}

export function readVarint(bytes: Uint8Array, offset: number): Varint {
  let value = 0;
  let unit = 1;
  for (let index = 0; index < varintSizeMax; index++) {
    const byte = bytes[offset + index];
    if (byte === undefined) throw new CodecError('malformed', 'varint is cut off');
    if (index > 0 && byte === 0) throw new CodecError('malformed', 'varint is not minimal');
    if (index === varintSizeMax - 1 && byte > 0x0f) break;
    value += (byte & payloadMask) * unit;
    if (byte < moreFollows) return { value, end: offset + index + 1 };
    unit *= moreFollows;
  }
  throw new CodecError('malformed', 'varint is above 2^32 - 1');
}
