import type { Clock, Timer } from '../base/clock.ts';

/** Whose last minutes are recorded. */
export interface Recorded {
  /** Takes a sample of what happened in the last `elapsedS`. Never rejects. */
  sample(elapsedS: number): Promise<void>;
}

/** Seconds between two samples, and how many are kept: ten minutes. */
export const sampleIntervalS = 5;
export const sampleCountMax = 120;

/** Takes a sample of each shard every few seconds. Redis may be slow: the next one is due only when the last is over. */
export class StatusRecorder {
  readonly #clock: Clock;
  readonly #recorded: readonly Recorded[];
  #lastMs = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock, recorded: readonly Recorded[]) {
    this.#clock = clock;
    this.#recorded = recorded;
  }

  start(): void {
    this.#lastMs = this.#clock.monotonicMs();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#clock.after(sampleIntervalS * 1000, () => void this.#sample());
  }

  async #sample(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const elapsedS = Math.max((nowMs - this.#lastMs) / 1000, 0.001);
    this.#lastMs = nowMs;
    await Promise.all(this.#recorded.map((each) => each.sample(elapsedS)));
    this.#schedule();
  }
}
