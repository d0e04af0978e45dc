import type { Clock } from '../base/clock.ts';
import type { LogFields, Logger } from '../base/logger.ts';

const intervalMs = 10_000;
const eventsMax = 256;

/**
 * Warnings that may come thousands of times a second: of each event one line every ten seconds, which says how many
 * were left out since the last.
 */
export class ThrottledLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #seen = new Map<string, { writtenMs: number; leftOut: number }>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  warn(fields: LogFields, event: string): void {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(event);
    if (seen !== undefined && nowMs - seen.writtenMs < intervalMs) {
      seen.leftOut += 1;
      return;
    }
    if (this.#seen.size >= eventsMax) this.#seen.clear();
    this.#seen.set(event, { writtenMs: nowMs, leftOut: 0 });
    this.#logger.warn({ ...fields, leftOut: seen?.leftOut ?? 0 }, event);
  }
}
