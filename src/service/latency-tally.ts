/** Upper bounds grow by a quarter of a doubling from 0.1 ms on; the last bucket takes what is above 100 s. */
const firstBoundS = 0.0001;
const bucketsPerDoubling = 4;
const bucketCount = 81;

/** How long things took, in buckets a fifth apart: what a quantile needs, in memory that does not grow. */
export class LatencyTally {
  readonly #counts = new Uint32Array(bucketCount);
  #total = 0;

  /** What is no time (negative, not finite) is left out. */
  observe(durationS: number): void {
    if (!(durationS >= 0 && Number.isFinite(durationS))) return;
    const bucket = Math.ceil(Math.log2(durationS / firstBoundS) * bucketsPerDoubling);
    const index = Math.min(Math.max(bucket, 0), bucketCount - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
  }

  /** Upper bound of the bucket that the quantile lies in, in seconds; `undefined` when nothing was observed. */
  quantile(part: number): number | undefined {
    if (this.#total === 0) return undefined;
    let left = Math.max(1, Math.ceil(part * this.#total));
    const bucket = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return firstBoundS * 2 ** (bucket / bucketsPerDoubling);
  }

  reset(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
