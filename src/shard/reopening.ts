/**
 * Opening a second instance after a write failed.
 *
 * States: idle → waiting (for the backoff, or for space) → opening → done, or back to waiting; after
 * `reopenAttemptsMax` failures in a row, or a refusal that will not pass, it has failed for good. Waiting for space
 * has no end: nothing is broken, and the shard goes on by itself when there is room again.
 */

import type { Timer } from '../base/clock.ts';
import { codeOf, messageOf, PermafrostError } from '../base/errors.ts';
import type { ShardSettings } from './settings.ts';
import { probeSpace } from './space-probe.ts';
import { Store, type StoreDeps } from './store.ts';

export type ReopenPhase = 'disk-full' | 'recovering';

export interface ReopenListener {
  /** The phase changed. */
  phase(phase: ReopenPhase): void;
  /** An attempt to open begins; `over` settles when it has ended. */
  attempt(over: Promise<void>): void;
}

export class Reopening {
  readonly #deps: StoreDeps;
  readonly #settings: ShardSettings;
  readonly #listener: ReopenListener;
  #cancelled = false;
  #wake: (() => void) | undefined;

  constructor(deps: StoreDeps, settings: ShardSettings, listener: ReopenListener) {
    this.#deps = deps;
    this.#settings = settings;
    this.#listener = listener;
  }

  /** The second instance; undefined when it was cancelled. Rejects when the shard has failed for good. */
  async run(cause: unknown): Promise<Store | undefined> {
    let failure = cause;
    let delayMs = this.#settings.reopenDelayMs;
    for (let attempts = 0; !this.#cancelled; ) {
      const full = isDiskFull(failure);
      this.#listener.phase(full ? 'disk-full' : 'recovering');
      if (full || attempts > 0) await this.#pause(delayMs);
      delayMs = Math.min(Math.max(1, delayMs * 2), this.#settings.reopenDelayMaxMs);
      if (this.#cancelled) break;
      const outcome = full && !(await this.#hasSpace()) ? undefined : await this.#attempt();
      if (outcome === undefined) continue;
      if (outcome instanceof Store) return outcome;
      failure = outcome.failure;
      attempts = isDiskFull(failure) ? 0 : attempts + 1;
      this.#deps.logger.error({ error: failure, attempts }, 'reopening-failed');
      if (isRefusal(failure) || attempts >= this.#settings.reopenAttemptsMax) throw failure;
    }
    return undefined;
  }

  /** Ends the waiting; an attempt that runs is finished. */
  cancel(): void {
    this.#cancelled = true;
    this.#wake?.();
  }

  async #attempt(): Promise<Store | { readonly failure: unknown }> {
    this.#listener.phase('recovering');
    const opening = Store.open(this.#deps);
    this.#listener.attempt(opening.then(nothing, nothing));
    try {
      return await opening;
    } catch (failure) {
      return { failure };
    }
  }

  async #hasSpace(): Promise<boolean> {
    try {
      await probeSpace(this.#deps.disk, this.#settings.spaceReserve);
      return true;
    } catch (error) {
      this.#deps.logger.debug({ error: messageOf(error) }, 'still-no-space');
      return false;
    }
  }

  async #pause(delayMs: number): Promise<void> {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = this.#deps.clock.after(delayMs, resolve);
    });
    timer?.cancel();
    this.#wake = undefined;
  }
}

/** Whether an error, or what caused it, is a full disk. */
export function isDiskFull(error: unknown): boolean {
  if (codeOf(error) === 'disk-full') return true;
  return error instanceof Error && error.cause !== undefined && isDiskFull(error.cause);
}

/** Whether the files themselves are at fault, so that no further attempt can succeed. */
function isRefusal(error: unknown): boolean {
  const refusals = ['corruption', 'checkpoint-mismatch', 'not-empty', 'invalid-settings', 'damaged', 'version-unknown'];
  return !(error instanceof PermafrostError) || refusals.includes(error.code);
}

function nothing(): void {}
