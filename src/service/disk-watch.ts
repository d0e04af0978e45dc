import { statfs } from 'node:fs/promises';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';

export interface DiskWatchSettings {
  readonly path: string;
  /** Below this the disk counts as low. */
  readonly pauseBelowBytes: number;
  /** From this on it no longer does. At least `pauseBelowBytes`: between the two nothing changes. */
  readonly resumeAboveBytes: number;
  readonly checkIntervalMs: number;
}

export interface DiskWatchDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes that are free at the path; the file system's own answer unless a test says otherwise. */
  readonly freeBytes?: (path: string) => Promise<number>;
}

/**
 * Watches the free space below the archive, so that puts pause before the disk is full and resume by themselves.
 *
 * Whoever listens is told of each change, and of nothing else. A disk that does not answer changes nothing.
 */
export class DiskWatch {
  readonly #settings: DiskWatchSettings;
  readonly #deps: DiskWatchDeps;
  readonly #changed: (low: boolean) => void;
  #timer: Timer | undefined;
  #free: number | undefined;
  #low = false;
  #stopped = false;

  constructor(settings: DiskWatchSettings, deps: DiskWatchDeps, changed: (low: boolean) => void) {
    this.#settings = settings;
    this.#deps = deps;
    this.#changed = changed;
  }

  get low(): boolean {
    return this.#low;
  }

  /** Bytes that were free when last looked; `undefined` before the first look. */
  get free(): number | undefined {
    return this.#free;
  }

  /** Looks at once, and then on and on. Resolves after the first look. */
  async start(): Promise<void> {
    await this.#look();
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(this.#settings.checkIntervalMs, () => void this.start());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { path, pauseBelowBytes, resumeAboveBytes } = this.#settings;
    try {
      this.#free = await (this.#deps.freeBytes ?? freeBytes)(path);
    } catch (error) {
      this.#deps.logger.warn({ error }, 'free-space-unknown');
      return;
    }
    const low = this.#low ? this.#free < resumeAboveBytes : this.#free < pauseBelowBytes;
    if (low === this.#low || this.#stopped) return;
    this.#low = low;
    const fields = { freeBytes: this.#free, pauseBelowBytes, resumeAboveBytes };
    if (low) this.#deps.logger.error(fields, 'disk-low');
    else this.#deps.logger.info(fields, 'disk-has-room');
    this.#changed(low);
  }
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
