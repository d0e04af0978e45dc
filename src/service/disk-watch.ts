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

/** What a file system says of itself, in bytes. */
export interface DiskSpace {
  readonly free: number;
  readonly size: number;
}

export interface DiskWatchDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The space at the path; the file system's own answer unless a test says otherwise. */
  readonly space?: (path: string) => Promise<DiskSpace>;
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
  #space: DiskSpace | undefined;
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

  /** What there was when last looked; `undefined` before the first look. */
  get space(): DiskSpace | undefined {
    return this.#space;
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
      this.#space = await (this.#deps.space ?? spaceAt)(path);
    } catch (error) {
      this.#deps.logger.warn({ error }, 'free-space-unknown');
      return;
    }
    const { free } = this.#space;
    const low = this.#low ? free < resumeAboveBytes : free < pauseBelowBytes;
    if (low === this.#low || this.#stopped) return;
    this.#low = low;
    const fields = { freeBytes: free, pauseBelowBytes, resumeAboveBytes };
    if (low) this.#deps.logger.error(fields, 'disk-low');
    else this.#deps.logger.info(fields, 'disk-has-room');
    this.#changed(low);
  }
}

async function spaceAt(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free: bavail * bsize, size: blocks * bsize };
}
