/**
 * CRC-32C (Castagnoli), the checksum of everything on disk and the hash that picks a key's bucket. FORMAT.md section 4.
 *
 * Two packages, each where it is the faster one: to call native code costs as much as 200 bytes in JavaScript, and it is
 * three times as fast from there on. Without native code for a platform all goes through JavaScript.
 */
import { createRequire } from 'node:module';
import crc32cModule from 'crc-32/crc32c.js';

export const crcSize = 4;

/** From this size on native code is faster. */
const nativeSizeMin = 256;

type Checksum = (bytes: Uint8Array, seed: number) => number;

const native = loadNative();

/** Checksum of `bytes`, as an unsigned number; with `seed` it goes on from the checksum of the bytes before. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const checksum = bytes.length >= nativeSizeMin ? native : undefined;
  return (checksum === undefined ? crc32cModule.buf(bytes, seed) : checksum(bytes, seed)) >>> 0;
}

/** What the native package offers; `undefined` where it has nothing for this platform. */
function loadNative(): Checksum | undefined {
  try {
    const { crc32c: checksum }: { readonly crc32c: Checksum } = createRequire(import.meta.url)('@node-rs/crc32');
    return checksum(Buffer.from('123456789'), 0) === 0xe306_9283 ? checksum : undefined;
  } catch {
    return undefined;
  }
}
