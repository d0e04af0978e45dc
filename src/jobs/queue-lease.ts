import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.ts';
import { JobsError } from './jobs-error.ts';
import { pause } from './pace.ts';
import { type QueueAddress, queueKey } from './queue-address.ts';
import type { QueueRedis } from './queue-redis.ts';
import { dropLeaseScript, holdLeaseScript } from './scripts.ts';

export interface LeaseSettings {
  /** How long the lease outlives its holder. */
  readonly leaseMs: number;
  /** How long to wait for another holder. */
  readonly busyWaitMs: number;
  readonly signal?: AbortSignal | undefined;
}

const retryDelayMs = 250;

/**
 * Makes one archiver at a time work on a queue.
 *
 * States: held → lost (another took it over, after this process had stalled for longer than the lease lasts) or released.
 * It protects the index of ids, which is read and written back; removing needs it too, and the script that removes looks
 * itself. The lease of a process that was killed runs out.
 */
export class QueueLease {
  readonly key: string;
  readonly token = randomUUID() as string;
  readonly #redis: QueueRedis;
  readonly #clock: Clock;
  readonly #durationMs: number;
  #timer: Timer | undefined;
  #released = false;

  private constructor(redis: QueueRedis, address: QueueAddress, clock: Clock, durationMs: number) {
    this.#redis = redis;
    this.#clock = clock;
    this.#durationMs = durationMs;
    // Beside the queue's own keys: in a cluster the script needs it in the same slot.
    this.key = queueKey(address, 'permafrost-archiver');
  }

  /**
   * Takes the lease, waiting for its holder at most so long; then JobsError `queue-busy`. An abort ends the wait likewise.
   */
  static async take(
    redis: QueueRedis,
    address: QueueAddress,
    clock: Clock,
    { leaseMs, busyWaitMs, signal }: LeaseSettings,
  ): Promise<QueueLease> {
    const lease = new QueueLease(redis, address, clock, leaseMs);
    const endMs = clock.monotonicMs() + busyWaitMs;
    while (!(await lease.#hold())) {
      const leftMs = signal?.aborted === true ? 0 : endMs - clock.monotonicMs();
      if (leftMs <= 0) throw lease.#busy();
      await pause(clock, Math.min(leftMs, retryDelayMs), signal);
    }
    lease.#renewLater();
    return lease;
  }

  /** Gives it back; never rejects. */
  async release(): Promise<void> {
    this.#released = true;
    this.#timer?.cancel();
    // Without Redis it runs out by itself.
    await this.#redis.runOne(dropLeaseScript, { keys: [this.key], args: [this.token] }).catch(() => {});
  }

  #busy(): JobsError {
    const message = `another archiver works on the queue; its lease (${this.key}) ends ${this.#durationMs} ms after its death`;
    return new JobsError('queue-busy', message, { retriable: true });
  }

  async #hold(): Promise<boolean> {
    const args = [this.token, this.#durationMs];
    return (await this.#redis.runOne(holdLeaseScript, { keys: [this.key], args })) === 1;
  }

  /** A renewal that fails is no trouble by itself: whoever needs the lease asks for it. */
  #renewLater(): void {
    this.#timer = this.#clock.after(this.#durationMs / 3, () => {
      void this.#hold()
        .catch(() => true)
        .then((held) => {
          if (held && !this.#released) this.#renewLater();
        });
    });
  }
}
