import { assert } from '../../src/base/assert.ts';
import type { Clock, Timer } from '../../src/base/clock.ts';

interface ManualTimer extends Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** Time that stands still until a test moves it. */
export class ManualClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  #timers: ManualTimer[] = [];

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = wallMs;
  }

  /** Timers that are set and have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** When the next timer is due, in milliseconds from now; `undefined` when none is set. */
  get nextTimerMs(): number | undefined {
    const next = this.#nextTimer();
    return next === undefined ? undefined : next.atMs - this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer: ManualTimer = {
      atMs: this.#monotonicMs + Math.max(0, delayMs),
      fire,
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
    this.#timers.push(timer);
    return timer;
  }

  /** Moves both clocks on and fires what becomes due, in the order of time, then of setting; each at its own moment. */
  advance(ms: number): void {
    assert(ms >= 0, 'monotonic time never goes back');
    const endMs = this.#monotonicMs + ms;
    for (let next = this.#nextTimer(); next !== undefined && next.atMs <= endMs; next = this.#nextTimer()) {
      this.#moveTo(next.atMs);
      next.cancel();
      next.fire();
    }
    this.#moveTo(endMs);
  }

  /** Sets the wall clock forwards or back, as an administrator or NTP does; no timer notices. */
  jumpWall(byMs: number): void {
    this.#wallMs += byMs;
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }

  #nextTimer(): ManualTimer | undefined {
    let next: ManualTimer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.atMs < next.atMs) next = timer;
    return next;
  }
}
