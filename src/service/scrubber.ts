/**
 * Scrubs a shard in the background, one pass an interval.
 *
 * When the last pass without damage ended is kept in the shard's directory, so a worker that is started often scrubs no
 * more often for it, and no less: a pass that a stop has interrupted begins anew soon after the next start. Whatever a pass
 * comes to, the shard goes on: damage is logged with its place and counted, and the next pass finds it again.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import { lastScrubFile, readLastSuccess, writeLastSuccess } from '../shard/last-success.ts';
import { type ScrubFinding, scrubShard } from '../shard/scrub.ts';

export interface ScrubberSettings {
  /** From the end of a pass to the beginning of the next; 0 for no scrubbing at all. */
  readonly intervalS: number;
  readonly bytesPerS: number;
}

export interface ScrubberDeps {
  /** The shard's directory, by a disk that nobody else uses: its files are opened and closed as the scrub goes. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly read: (bytes: number) => void;
  readonly found: (finding: ScrubFinding) => void;
}

/** After its start a worker has better things to read than old sections. */
const startDelayMsMax = 60_000;
/** Timers are not made for weeks. */
const timerMsMax = 24 * 3_600_000;
/** Findings of a pass that are logged one by one. */
const toldMax = 100;

export class Scrubber {
  readonly #settings: ScrubberSettings;
  readonly #deps: ScrubberDeps;
  readonly #stopped = new AbortController();
  #lastSuccessMs = 0;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(settings: ScrubberSettings, deps: ScrubberDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  /** Wall clock in seconds of the end of the last pass that found nothing; 0 for never, undefined without scrubbing. */
  get lastSuccessS(): number | undefined {
    return this.#settings.intervalS === 0 ? undefined : this.#lastSuccessMs / 1000;
  }

  /** Waits for its time. Resolves when it knows when that is. */
  async start(): Promise<void> {
    const { disk, clock } = this.#deps;
    if (this.#settings.intervalS === 0) return;
    this.#lastSuccessMs = (await readLastSuccess(disk, lastScrubFile)) ?? 0;
    const leftMs = this.#lastSuccessMs + this.#intervalMs - clock.wallMs();
    this.#waitFor(Math.min(Math.max(leftMs, Math.min(startDelayMsMax, this.#intervalMs)), this.#intervalMs));
  }

  /** Resolves when nothing of the shard is open any more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#timer?.cancel();
    await this.#running;
  }

  get #intervalMs(): number {
    return this.#settings.intervalS * 1000;
  }

  #waitFor(delayMs: number): void {
    if (this.#stopped.signal.aborted) return;
    const stepMs = Math.min(delayMs, timerMsMax);
    this.#timer = this.#deps.clock.after(stepMs, () => {
      if (delayMs > stepMs) this.#waitFor(delayMs - stepMs);
      else this.#running = this.#pass();
    });
  }

  async #pass(): Promise<void> {
    const { disk, clock, logger } = this.#deps;
    try {
      const startedMs = clock.monotonicMs();
      let toldCount = 0;
      const report = await scrubShard(disk, {
        ...{ clock, signal: this.#stopped.signal, bytesPerS: this.#settings.bytesPerS, read: this.#deps.read },
        damaged: (finding) => {
          this.#deps.found(finding);
          if (++toldCount <= toldMax) logger.error({ ...finding }, 'scrub-damage');
        },
      });
      if (!report.complete) return;
      const fields = { ...report, durationS: Math.round((clock.monotonicMs() - startedMs) / 1000) };
      if (report.damageCount > 0) logger.error(fields, 'scrub-found-damage');
      else await this.#succeeded(fields);
    } catch (error) {
      logger.warn({ error }, 'scrub-failed');
    }
    this.#waitFor(this.#intervalMs);
  }

  async #succeeded(fields: Readonly<Record<string, unknown>>): Promise<void> {
    const { disk, clock, logger } = this.#deps;
    this.#lastSuccessMs = Math.round(clock.wallMs());
    logger.info(fields, 'scrub-done');
    await writeLastSuccess(disk, lastScrubFile, this.#lastSuccessMs);
  }
}
