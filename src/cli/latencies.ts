/** Buckets of one doubling: a value is known to about 4 %. */
const bucketsPerDoubling = 16;
/** Bucket 0 ends at a microsecond; the last one holds everything above eighteen minutes. */
const smallestMs = 0.001;
const bucketCount = 30 * bucketsPerDoubling + 1;

/** How long something took, over any number of times in constant memory. */
export class Latencies {
  readonly #counts = new Float64Array(bucketCount);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  /** The longest one, exactly. 0 while there is none. */
  get maxMs(): number {
    return this.#maxMs;
  }

  add(ms: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(ms, smallestMs) / smallestMs) * bucketsPerDoubling);
    const index = Math.min(bucket, bucketCount - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count++;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** The time that this share of them (0 to 1) did not pass, to about 4 % above. 0 while there is none. */
  quantileMs(share: number): number {
    const rank = Math.max(1, Math.ceil(this.#count * share));
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= rank) return Math.min(this.#maxMs, smallestMs * 2 ** (index / bucketsPerDoubling));
    }
    return 0;
  }
}
