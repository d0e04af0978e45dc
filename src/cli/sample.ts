/** An even choice of at most `size` out of any number of items, made as they come, in constant memory. */
export class Sample<T> {
  readonly #size: number;
  readonly #random: () => number;
  readonly #chosen: T[] = [];
  #seen = 0;

  /** `random` gives numbers from 0 to below 1. */
  constructor(size: number, random: () => number) {
    this.#size = size;
    this.#random = random;
  }

  get chosen(): readonly T[] {
    return this.#chosen;
  }

  /** Each of the n items so far is among the chosen with the same probability, size / n. */
  add(item: T): void {
    this.#seen++;
    if (this.#chosen.length < this.#size) {
      this.#chosen.push(item);
      return;
    }
    const place = Math.floor(this.#random() * this.#seen);
    if (place < this.#size) this.#chosen[place] = item;
  }
}
