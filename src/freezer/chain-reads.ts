/**
 * How many key records were read until a key was found, or known to be missing: none where its bucket is empty, one where
 * the newest record of the bucket is its own, and one more for each record of another key before it.
 *
 * A key whose chain is damaged counts as far as it was read; keys that the disk failed together are looked up again one by
 * one, and count again.
 */

/** Reads up to which keys are counted together; whoever has read more is counted behind the last one. */
export const chainReadBounds = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89] as const;

export interface ChainReadCounts {
  /** Keys by the first bound that is not less than their reads; the last count is of those beyond all bounds. */
  readonly keyCounts: readonly number[];
  /** Of all keys together. */
  readonly readCount: number;
}

export class ChainReads {
  readonly #keyCounts = [...chainReadBounds, Number.POSITIVE_INFINITY].map(() => 0);
  #readCount = 0;

  get counts(): ChainReadCounts {
    return { keyCounts: [...this.#keyCounts], readCount: this.#readCount };
  }

  /** A key was settled by so many reads. */
  add(readCount: number): void {
    let at = 0;
    while (at < chainReadBounds.length && readCount > (chainReadBounds[at] ?? 0)) at++;
    this.#keyCounts[at] = (this.#keyCounts[at] ?? 0) + 1;
    this.#readCount += readCount;
  }
}
