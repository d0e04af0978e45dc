import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { needsRest, troubleOf } from './redis-trouble.ts';
import type { ThrottledLog } from './throttled-log.ts';

/** What the intake needs of a BullMQ worker. */
export interface Pausable {
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

export interface IntakeDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ThrottledLog;
}

/**
 * Why no jobs are fetched: `low-disk`: little room is left. `shard`: it is recovering or has failed. `held`: it refused
 * a job that is tried again. `redis`: it cannot work for us now.
 */
export type PauseReason = 'low-disk' | 'shard' | 'held' | 'redis';

const restMinMs = 1000;
const restMaxMs = 5000;
/** After so long without trouble the next rest is a short one again. */
const calmMs = 30_000;

/**
 * Whether a worker fetches jobs: it does while nobody has a reason against it.
 *
 * States: running → (first reason) paused → (last reason gone) running; any → stopped, for good. Jobs in hand go on in
 * each of them. Trouble that Redis reports pauses the intake for a while, longer each time it comes back.
 */
export class Intake {
  readonly #worker: Pausable;
  readonly #deps: IntakeDeps;
  readonly #reasons = new Set<PauseReason>();
  #restMs = restMinMs;
  #troubleAtMs = Number.NEGATIVE_INFINITY;
  #rest: Timer | undefined;
  #stopped = false;

  constructor(worker: Pausable, deps: IntakeDeps) {
    this.#worker = worker;
    this.#deps = deps;
  }

  get reasons(): readonly PauseReason[] {
    return [...this.#reasons];
  }

  pause(reason: PauseReason): void {
    if (this.#stopped || this.#reasons.has(reason)) return;
    this.#reasons.add(reason);
    if (this.#reasons.size > 1) return;
    this.#deps.log.warn({ reason }, 'intake-paused');
    void this.#worker.pause(true);
  }

  resume(reason: PauseReason): void {
    if (this.#stopped || !this.#reasons.delete(reason) || this.#reasons.size > 0) return;
    this.#deps.logger.info({ reason }, 'intake-resumed');
    void this.#worker.resume();
  }

  /** Takes an error of the worker: notes it, and rests when Redis cannot work for us now. */
  report(error: unknown): void {
    const trouble = troubleOf(error);
    this.#deps.log.warn({ trouble, error }, `redis-${trouble}`);
    if (!needsRest(trouble) || this.#stopped || this.#rest !== undefined) return;
    const nowMs = this.#deps.clock.monotonicMs();
    this.#restMs = nowMs - this.#troubleAtMs > calmMs ? restMinMs : Math.min(this.#restMs * 2, restMaxMs);
    this.#troubleAtMs = nowMs;
    this.pause('redis');
    this.#rest = this.#deps.clock.after(this.#restMs, () => {
      this.#rest = undefined;
      this.resume('redis');
    });
  }

  /** No more pausing and resuming: the worker is being closed. */
  stop(): void {
    this.#stopped = true;
    this.#rest?.cancel();
  }
}
