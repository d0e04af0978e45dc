/** A count that only rises. The service exports it; the engine only adds to it. */
export class Counter {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  add(count = 1): void {
    this.#value += count;
  }
}
