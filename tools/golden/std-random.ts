/**
 * The byte stream of Rust's `rand` 0.8 `StdRng::seed_from_u64`: ChaCha with 12 rounds under a key drawn from the seed
 * by a PCG generator. The conformance workload takes its keys from it, so every implementation draws the same ones.
 */

const chachaRounds = 12;
const wordsPerBlock = 16;
const blockSize = 4 * wordsPerBlock;
const keyAt = 4;
const counterLowAt = 12;
const counterHighAt = 13;

/** "expand 32-byte k", as four little-endian words. */
const chachaConstants = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];

const mask64 = (1n << 64n) - 1n;
const pcgMultiplier = 6364136223846793005n;
const pcgIncrement = 11634580027462260723n;

/** The 32 bytes that a 64-bit seed stands for. */
export function expandSeed(seed: bigint): Buffer {
  const bytes = Buffer.alloc(32);
  let state = seed & mask64;
  for (let offset = 0; offset < bytes.length; offset += 4) {
    state = (state * pcgMultiplier + pcgIncrement) & mask64;
    const mixed = Number((((state >> 18n) ^ state) >> 27n) & 0xffff_ffffn);
    bytes.writeUInt32LE(rotateRight(mixed, Number(state >> 59n)), offset);
  }
  return bytes;
}

/** An endless stream of bytes, equal for equal seeds. */
export class StdRandom {
  readonly #input: Uint32Array;
  readonly #block = Buffer.alloc(blockSize);
  #used = blockSize;

  constructor(seed: bigint) {
    const key = expandSeed(seed);
    this.#input = Uint32Array.from({ length: wordsPerBlock }, (_, index) => {
      if (index < keyAt) return chachaConstants[index] ?? 0;
      return index < counterLowAt ? key.readUInt32LE(4 * (index - keyAt)) : 0;
    });
  }

  /** The next `size` bytes. */
  bytes(size: number): Buffer {
    const result = Buffer.alloc(size);
    let filled = 0;
    while (filled < size) {
      if (this.#used === blockSize) this.#nextBlock();
      const copied = this.#block.copy(result, filled, this.#used, Math.min(blockSize, this.#used + size - filled));
      filled += copied;
      this.#used += copied;
    }
    return result;
  }

  #nextBlock(): void {
    const state = Uint32Array.from(this.#input);
    for (let round = 0; round < chachaRounds; round += 2) doubleRound(state);
    for (let index = 0; index < wordsPerBlock; index++) {
      this.#block.writeUInt32LE(((state[index] ?? 0) + (this.#input[index] ?? 0)) >>> 0, 4 * index);
    }
    this.#countUp();
    this.#used = 0;
  }

  #countUp(): void {
    const low = ((this.#input[counterLowAt] ?? 0) + 1) >>> 0;
    this.#input[counterLowAt] = low;
    if (low === 0) this.#input[counterHighAt] = (this.#input[counterHighAt] ?? 0) + 1;
  }
}

function doubleRound(state: Uint32Array): void {
  for (let column = 0; column < 4; column++) {
    quarterRound(state, column, column + 4, column + 8, column + 12);
  }
  for (let diagonal = 0; diagonal < 4; diagonal++) {
    quarterRound(state, diagonal, 4 + ((diagonal + 1) % 4), 8 + ((diagonal + 2) % 4), 12 + ((diagonal + 3) % 4));
  }
}

function quarterRound(state: Uint32Array, a: number, b: number, c: number, d: number): void {
  addXorRotate(state, a, b, d, 16);
  addXorRotate(state, c, d, b, 12);
  addXorRotate(state, a, b, d, 8);
  addXorRotate(state, c, d, b, 7);
}

/** `sum += addend`, then `target = (target ^ sum) <<< count`. */
function addXorRotate(state: Uint32Array, sum: number, addend: number, target: number, count: number): void {
  const added = ((state[sum] ?? 0) + (state[addend] ?? 0)) >>> 0;
  state[sum] = added;
  state[target] = rotateRight(((state[target] ?? 0) ^ added) >>> 0, 32 - count);
}

function rotateRight(word: number, count: number): number {
  return ((word >>> (count % 32)) | (word << ((32 - count) % 32))) >>> 0;
}
