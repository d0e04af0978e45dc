import fs from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Bytes that this process has caused to be written to storage, or undefined where the system does not say. Linux
 * counts a page when it becomes dirty, and all of a large folio when one byte of it does: small writes at random
 * places of a large file, or of a memory map, count for more than they bring to the device.
 */
export async function storageBytesWritten(): Promise<number | undefined> {
  try {
    const match = /^write_bytes: (\d+)$/m.exec(await fs.readFile('/proc/self/io', 'utf8'));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** Highest resident memory of this process so far, in bytes. */
export function peakResidentBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** Processor time of this process, all its threads together. */
export interface ProcessorTime {
  readonly userS: number;
  readonly systemS: number;
}

export function processorTime(since: ProcessorTime = { userS: 0, systemS: 0 }): ProcessorTime {
  const { user, system } = process.cpuUsage();
  return { userS: user / 1e6 - since.userS, systemS: system / 1e6 - since.systemS };
}

const resolutionMs = 1;

/** How late a timer of one millisecond fires while a benchmark runs. */
export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): void {
    this.#histogram.enable();
  }

  /** Ends the measurement; the 99.9th percentile in milliseconds, the timer's own interval not in it. */
  stop(): number {
    this.#histogram.disable();
    return Math.max(0, this.#histogram.percentile(99.9) / 1e6 - resolutionMs);
  }
}
