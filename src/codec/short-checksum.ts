/**
 * CRC-32C of inputs that all have one size of a few bytes, taken where they lie: without a view, which costs more than such
 * a checksum does.
 *
 * What a byte adds to the checksum depends on its value and its place only, and all that is added is combined by exclusive
 * or. So each place has a table of its own, and no byte waits for the one before it. That is a kilobyte of memory for each
 * byte of the input: longer ones are seen through a view after all.
 */
import { crc32c } from './crc32c.ts';

/** Up to this size the tables stay in the processor's nearer caches. */
const tabledSizeMax = 64;
const byteValues = 256;
const byteBits = 8;

export class ShortChecksum {
  readonly #size: number;
  /** Checksum of zeros. */
  readonly #ofZeros: number;
  /** What each value adds at each place; `undefined` for long inputs. */
  readonly #shares: Int32Array | undefined;

  constructor(size: number) {
    this.#size = size;
    this.#ofZeros = crc32c(Buffer.alloc(size));
    this.#shares = size <= tabledSizeMax ? sharesOf(size) : undefined;
  }

  /** `crc32c` of the bytes from `at` on. */
  of(bytes: Uint8Array, at: number): number {
    const size = this.#size;
    const shares = this.#shares;
    if (shares === undefined) return crc32c(bytes.subarray(at, at + size));
    let sum = this.#ofZeros;
    for (let place = 0; place < size; place++) {
      sum ^= shares[(place << byteBits) | (bytes[at + place] ?? 0)] ?? 0;
    }
    return sum >>> 0;
  }
}

/** The last place has what one byte adds; each place before it has that, with one more byte of zeros behind. */
function sharesOf(size: number): Int32Array {
  const last = Int32Array.from({ length: byteValues }, (_, value) => shareOfOne(value));
  const shares = new Int32Array(size * byteValues);
  shares.set(last, (size - 1) * byteValues);
  for (let at = (size - 1) * byteValues - 1; at >= 0; at--) {
    const share = shares[at + byteValues] ?? 0;
    shares[at] = (share >>> byteBits) ^ (last[share & (byteValues - 1)] ?? 0);
  }
  return shares;
}

function shareOfOne(value: number): number {
  return crc32c(Buffer.from([value])) ^ crc32c(Buffer.from([0]));
}
