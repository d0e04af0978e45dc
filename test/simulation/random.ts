/** The whole state of a `Random`: four 32-bit words, never all zero. */
type State = [number, number, number, number];

/** A 32-bit number that depends on all numbers given, for seeds that are derived from a seed and a place. */
export function mixSeed(...parts: readonly number[]): number {
  let hash = 0x9e37_79b9;
  for (const part of parts) hash = scrambled((hash ^ scrambled(part | 0)) + 0x9e37_79b9);
  return hash >>> 0;
}

/** Repeatable randomness: the same seed gives the same numbers on every machine. xoshiro128**, not for secrets. */
export class Random {
  readonly #state: State;

  constructor(seed: number) {
    this.#state = [mixSeed(seed, 1), mixSeed(seed, 2), mixSeed(seed, 3), mixSeed(seed, 4) | 1];
  }

  /** An unsigned 32-bit number. */
  u32(): number {
    const state = this.#state;
    const result = Math.imul(rotated(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotated(state[3], 11);
    return result;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * limit);
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with the probability given. */
  chance(probability: number): boolean {
    return this.u32() < probability * 0x1_0000_0000;
  }

  /** One of the items; the list is not empty. */
  pick<T>(items: readonly T[]): T {
    const index = this.below(items.length);
    if (index >= items.length) throw new RangeError('nothing to pick from');
    return items[index] as T;
  }

  bytes(size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size);
    let offset = 0;
    for (; offset + 4 <= size; offset += 4) bytes.writeUInt32LE(this.u32(), offset);
    for (; offset < size; offset++) bytes[offset] = this.u32();
    return bytes;
  }

  /** The items in another order, in a new array. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let last = result.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      const moved = result[last] as T;
      result[last] = result[other] as T;
      result[other] = moved;
    }
    return result;
  }

  /** A generator of its own, whose numbers do not depend on how many this one gives afterwards. */
  fork(): Random {
    return new Random(this.u32());
  }
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function scrambled(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
