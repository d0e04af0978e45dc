import type { Clock } from '../base/clock.ts';

/** How many puts wait to become durable, and for how long the oldest of them has. */
export class PendingAge {
  readonly #clock: Clock;
  /** When each began, in this order. */
  readonly #pending = new Set<{ readonly sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#pending.size;
  }

  get seconds(): number {
    const [oldest] = this.#pending;
    return oldest === undefined ? 0 : (this.#clock.monotonicMs() - oldest.sinceMs) / 1000;
  }

  /** The same work, counted until it is over, well or not. */
  async during<T>(work: Promise<T>): Promise<T> {
    const entry = { sinceMs: this.#clock.monotonicMs() };
    this.#pending.add(entry);
    try {
      return await work;
    } finally {
      this.#pending.delete(entry);
    }
  }
}
