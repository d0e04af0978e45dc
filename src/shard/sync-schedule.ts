import type { Clock, Timer } from '../base/clock.ts';

/** What the schedule looks at. */
export interface SyncLoad {
  readonly tableSize: number;
  /** Buckets of a running resize that are done. */
  readonly resizing: number | undefined;
}

/**
 * When a sync is due: an interval after the last one if anything was appended since or a resize runs; at once when as
 * many records were appended as half the table has buckets, or when it was demanded because memory is full.
 *
 * Intervals are measured on the monotonic clock.
 */
export class SyncSchedule {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #wake: () => void;
  #timer: Timer | undefined;
  #elapsed = false;
  #demanded = false;
  #recordCount = 0;
  /** Of the records, those that the sync under way covers for certain. */
  #covered = 0;

  constructor(clock: Clock, intervalMs: number, wake: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#wake = wake;
  }

  /** A sync begins. */
  begin(): void {
    this.#covered = this.#recordCount;
  }

  /** The sync is done, or a store was opened at its checkpoint: the interval begins. */
  restart(): void {
    const left = this.#recordCount - this.#covered;
    this.stop();
    this.#recordCount = left;
    this.#timer = this.#clock.after(this.#intervalMs, () => {
      this.#elapsed = true;
      this.#wake();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#elapsed = false;
    this.#demanded = false;
    this.#recordCount = 0;
    this.#covered = 0;
  }

  appended(recordCount: number): void {
    this.#recordCount += recordCount;
  }

  demand(): void {
    this.#demanded = true;
  }

  isDue({ tableSize, resizing }: SyncLoad): boolean {
    if (this.#demanded || this.#recordCount > tableSize / 2) return true;
    return this.#elapsed && (this.#recordCount > 0 || resizing !== undefined);
  }
}
