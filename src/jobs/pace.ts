import type { Clock } from '../base/clock.ts';

/** Waits for a time; ends at once when the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true || delayMs <= 0) {
      resolve();
      return;
    }
    // The timers of a clock keep no process alive, and somebody waits for this one.
    const alive = setInterval(() => {}, 1 << 30);
    const end = (): void => {
      clearInterval(alive);
      timer.cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.after(delayMs, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** Lets through so many a second, evenly. */
export class Pace {
  readonly #clock: Clock;
  readonly #perSecond: number | undefined;
  #nextMs = 0;

  /** No bound if `perSecond` is undefined. */
  constructor(clock: Clock, perSecond: number | undefined) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** Resolves when `count` more may go, or when the signal aborts. */
  async take(count: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#perSecond === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    const startMs = Math.max(this.#nextMs, nowMs);
    this.#nextMs = startMs + (count / this.#perSecond) * 1000;
    await pause(this.#clock, startMs - nowMs, signal);
  }
}
