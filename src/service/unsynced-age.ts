import type { Clock } from '../base/clock.ts';

/** How long ago the first put was acknowledged that no checkpoint covers yet. */
export class UnsyncedAge {
  readonly #clock: Clock;
  #firstAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  acknowledged(): void {
    this.#firstAtMs ??= this.#clock.monotonicMs();
  }

  synced(): void {
    this.#firstAtMs = undefined;
  }

  get seconds(): number {
    return this.#firstAtMs === undefined ? 0 : (this.#clock.monotonicMs() - this.#firstAtMs) / 1000;
  }
}
