/**
 * Big-endian unsigned integers, as every fixed-width field on disk.
 *
 * A 64-bit field maps to `number`: all sizes, positions, sections and epochs that can be reached by counting lie
 * below 2^53. A larger value on disk is foreign or damaged and is an error, except where a layout gives all ones
 * a meaning of its own; such a field is asked with `isAllOnes64` first.
 */
import { CodecError } from './codec-error.ts';

export const u8Size = 1;
export const u16Size = 2;
export const u32Size = 4;
export const u64Size = 8;

const high = 0x1_0000_0000;
const highMax = 0x1f_ffff;

export function readU64(bytes: Buffer, offset: number): number {
  const top = bytes.readUInt32BE(offset);
  if (top > highMax) {
    throw new CodecError(
      'out-of-range',
      `64-bit field at ${offset} is above 2^53: 0x${bytes.toString('hex', offset, offset + u64Size)}`,
    );
  }
  return top * high + bytes.readUInt32BE(offset + u32Size);
}

export function writeU64(bytes: Buffer, value: number, offset: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new CodecError('out-of-range', `${value} is no unsigned integer below 2^53`);
  bytes.writeUInt32BE(Math.floor(value / high), offset);
  bytes.writeUInt32BE(value % high, offset + u32Size);
  return offset + u64Size;
}

export function isAllOnes64(bytes: Buffer, offset: number): boolean {
  return bytes.readUInt32BE(offset) === 0xffff_ffff && bytes.readUInt32BE(offset + u32Size) === 0xffff_ffff;
}

export function writeAllOnes64(bytes: Buffer, offset: number): number {
  bytes.fill(0xff, offset, offset + u64Size);
  return offset + u64Size;
}
