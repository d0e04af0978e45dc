import type { Clock } from '../base/clock.ts';
import type { PendingCall } from './call.ts';
import { ClientError } from './client-error.ts';

export interface BacklogOptions {
  readonly jobCountMax: number;
  readonly whenFull: 'wait' | 'refuse';
}

/** How long a measured count is good for, and how long a put waits before it looks again. */
const checkIntervalMs = 100;

/**
 * Keeps a shard's queue from growing without end: BullMQ has no bound of its own.
 *
 * The count of waiting jobs is measured at most once in `checkIntervalMs`; between two measurements this client's own
 * puts are added to it. Several clients together may overshoot by what they add in one interval.
 */
export class Backlog {
  readonly #measure: () => Promise<number>;
  readonly #options: BacklogOptions;
  readonly #clock: Clock;
  #measurement: Promise<void> | undefined;
  #measuredMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(measure: () => Promise<number>, options: BacklogOptions, clock: Clock) {
    this.#measure = measure;
    this.#options = options;
    this.#clock = clock;
  }

  /** Resolves when there is room for one more job, and counts it; or when the call is settled. Errors: ClientError `backlog-full`. */
  async admit(call: PendingCall): Promise<void> {
    while (!call.settled) {
      if (!this.#fresh()) await this.#remeasure();
      if (this.#count < this.#options.jobCountMax) {
        this.#count += 1;
        call.expectAnswer();
        return;
      }
      if (this.#options.whenFull === 'refuse') throw this.#full();
      call.expect(() => this.#full());
      await pause(this.#clock, checkIntervalMs, call);
    }
  }

  #fresh(): boolean {
    return this.#clock.monotonicMs() - this.#measuredMs < checkIntervalMs;
  }

  #remeasure(): Promise<void> {
    this.#measurement ??= this.#measure()
      .then((count) => {
        this.#count = count;
        this.#measuredMs = this.#clock.monotonicMs();
      })
      .finally(() => {
        this.#measurement = undefined;
      });
    return this.#measurement;
  }

  #full(): ClientError {
    const found = this.#count;
    const max = this.#options.jobCountMax;
    return new ClientError('backlog-full', `${found} put jobs wait, the limit backlogJobCountMax is ${max}`, {
      retriable: true,
      details: { limit: 'backlogJobCountMax', max, found },
    });
  }
}

/** Waits, but no longer than the call does. */
export function pause(clock: Clock, delayMs: number, call: PendingCall): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, () => {
      forget();
      resolve();
    });
    const forget = call.onSettled(() => {
      timer.cancel();
      resolve();
    });
  });
}
