/** CRC-32C (Castagnoli), the checksum of everything on disk and the hash that picks a key's bucket. FORMAT.md section 4. */
import crc32cModule from 'crc-32/crc32c.js';

export const crcSize = 4;

/** Checksum of `bytes`, as an unsigned number; with `seed` it goes on from the checksum of the bytes before. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return crc32cModule.buf(bytes, seed) >>> 0;
}
