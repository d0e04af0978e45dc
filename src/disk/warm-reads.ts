/**
 * Decides which reads are made at once, in the caller's thread: small ones that the page cache most likely has.
 *
 * Through the pool of threads behind `fs` a read costs 2 to 3.5 µs of the event loop and, with two wake-ups, 30 to 60 µs
 * until it is there; a synchronous read of a warm page 1 to 2 µs in all. But nobody can ask whether a page is warm, and a
 * cold one holds up the event loop for as long as the disk takes.
 *
 * So each read at once is timed. States: *warm*, reads are made at once; *cold*, after one that the disk was waited for,
 * the next `pause` small reads go through the pool, and then it is tried again. The pause doubles when the disk was met
 * again soon, so that the event loop waits for a disk that is needed often once in some thousand reads.
 *
 * A slow read is as long when the processor was given to somebody else. It was the disk's if the process has had blocks
 * read for it and another slow read is near. Of some disks the kernel counts no blocks, as of those behind a network: so
 * after a slow read the next few are watched, and a slow one of these was the disk's if a processor was given up to wait.
 * Those that are taken away count apart. The kernel counts for all threads of the process: when others of ours wait at that
 * moment, a processor that was lost is still taken for the disk now and then, which costs a short pause.
 */
import fs from 'node:fs';

/** Reads larger than this gain nothing: copying takes longer than calling. */
export const warmReadSizeMax = 64 * 1024;

/** A read from memory takes a few microseconds. */
const slowReadMs = 0.05;
/** A slow read at most so many after another one, or after a pause, is the disk's if blocks were read meanwhile. */
const slowDistanceMax = 256;
/** So many reads after a slow one are watched. */
const watchedCount = 16;
/** So many reads at once from one meeting with the disk to the next: what is asked for is in memory. */
const warmRunMin = 1024;
const pauseMin = 32;
const pauseMax = 4096;

/** What the kernel counts for a process. */
export interface ReadUsage {
  /** Blocks of disks that were read for it. */
  readonly fsRead: number;
  /** How often a thread of it gave up its processor to wait. */
  readonly voluntaryContextSwitches: number;
}

export class WarmReads {
  readonly #clock: () => number;
  readonly #usage: () => ReadUsage;
  /** Blocks read for the process when a read was last slow, or at the start. */
  #blocks: number;
  /** Reads that are still to be watched. */
  #toWatch = 0;
  #pause = pauseMin;
  /** Small reads that are still to go through the pool; 0 while it is warm. */
  #toPass = pauseMin;
  /** Reads at once since the last slow one or pause, and since the last pause. */
  #sinceSlow = 0;
  #sincePause = 0;

  constructor(clock = (): number => performance.now(), usage = (): ReadUsage => process.resourceUsage()) {
    this.#clock = clock;
    this.#usage = usage;
    this.#blocks = usage().fsRead;
  }

  /** Whether the next small read is made at once. */
  get isWarm(): boolean {
    return this.#toPass === 0;
  }

  /** So many small reads went through the pool. */
  passed(count: number): void {
    this.#toPass = Math.max(0, this.#toPass - count);
  }

  /**
   * Fills so many bytes of `into` from `at` on. False when the read failed or came short: who reads it again, otherwise,
   * learns why.
   */
  fill(descriptor: number, offset: number, into: Uint8Array, at: number, size: number): boolean {
    const before = this.#toWatch > 0 ? this.#usage() : undefined;
    if (before !== undefined) this.#toWatch--;
    const start = this.#clock();
    const isFilled = readAtOnce(descriptor, offset, into, at, size);
    this.#sinceSlow++;
    this.#sincePause++;
    if (this.#clock() - start > slowReadMs) this.#wasSlow(before);
    return isFilled;
  }

  /** `before` is of a read that was watched. */
  #wasSlow(before: ReadUsage | undefined): void {
    const { fsRead, voluntaryContextSwitches } = this.#usage();
    const hasWaited = before !== undefined && voluntaryContextSwitches > before.voluntaryContextSwitches;
    const isDisk = fsRead === this.#blocks ? hasWaited : this.#sinceSlow <= slowDistanceMax;
    this.#blocks = fsRead;
    this.#toWatch = watchedCount;
    this.#sinceSlow = 0;
    if (!isDisk) return;
    this.#pause = this.#sincePause < warmRunMin ? Math.min(pauseMax, this.#pause * 2) : pauseMin;
    this.#toPass = this.#pause;
    this.#sincePause = 0;
  }
}

function readAtOnce(descriptor: number, offset: number, into: Uint8Array, at: number, size: number): boolean {
  try {
    return fs.readSync(descriptor, into, at, size, offset) === size;
  } catch {
    return false;
  }
}
