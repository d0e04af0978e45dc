import type { Job } from 'bullmq';
import type { Clock } from '../base/clock.ts';

/** How far a producer's clock may be from ours. */
const clockSkewMs = 60_000;

/**
 * Whether a job may have been delivered before.
 *
 * BullMQ counts deliveries in Redis. A Redis that comes back from a crash may have lost the last second: the count of
 * a job that we stored is back at nothing. So after each loss of Redis, jobs that were queued before it are doubted,
 * whatever their counters say. A doubt costs a look at each key; a wrong trust would store a record twice.
 */
export class DeliveryHistory {
  readonly #clock: Clock;
  #doubtedBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Redis was lost, or may have lost something. */
  doubt(): void {
    this.#doubtedBeforeMs = this.#clock.wallMs() + clockSkewMs;
  }

  mayBeRepeated(job: Job): boolean {
    if (job.attemptsStarted > 1 || job.attemptsMade > 0 || job.stalledCounter > 0) return true;
    return job.timestamp <= this.#doubtedBeforeMs;
  }
}
