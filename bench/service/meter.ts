import fs from 'node:fs/promises';
import { median, percentile } from '../numbers.ts';

/** Runs the part of a load that is measured. */
export type Clocked = <T>(work: () => Promise<T>) => Promise<T>;

export interface Metered {
  readonly ms: number;
  /** Processor seconds while the clock ran; undefined where the system does not say. */
  readonly processor: { readonly consumerS: number; readonly redisS: number; readonly driverS: number } | undefined;
}

export interface Times {
  readonly medianMs: number;
  readonly p99Ms: number;
}

export function timesOf(numbersMs: readonly number[]): Times {
  return { medianMs: median(numbersMs), p99Ms: percentile(numbersMs, 0.99) };
}

/** Measures one stretch of time and what the consumer, Redis and the driver work in it. */
export class Meter {
  readonly #pids: readonly [consumer: number, redis: number, driver: number];
  #result: Metered = { ms: 0, processor: undefined };

  constructor(pids: readonly [consumer: number, redis: number, driver: number]) {
    this.#pids = pids;
  }

  get result(): Metered {
    return this.#result;
  }

  async measure<T>(work: () => Promise<T>): Promise<T> {
    const before = await this.#seconds();
    const startMs = performance.now();
    const done = await work();
    const ms = performance.now() - startMs;
    const [consumerS, redisS, driverS] = (await this.#seconds()).map((value, at) => value - (before[at] ?? 0));
    const known = consumerS !== undefined && redisS !== undefined && driverS !== undefined;
    const processor = known && !Number.isNaN(consumerS) ? { consumerS, redisS, driverS } : undefined;
    this.#result = { ms, processor };
    return done;
  }

  #seconds(): Promise<number[]> {
    return Promise.all(this.#pids.map(processorSeconds));
  }
}

/** Of `utime` and `stime` in /proc; the same on every Linux we know. */
const ticksPerSecond = 100;

/** Processor seconds that a process has used so far; not a number where the system does not say. */
async function processorSeconds(pid: number): Promise<number> {
  const text = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may hold blanks; the fields after it begin with the third.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
