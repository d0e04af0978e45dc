/**
 * Decides which reads are made at once, in the caller's thread: small ones that the page cache most likely has.
 *
 * Through the pool of threads behind `fs` a read costs 2 to 3.5 µs of the event loop and, with two wake-ups, 30 to 60 µs
 * until it is there; a synchronous read of a warm page 1 to 2 µs in all. But nobody can ask whether a page is warm, and a
 * cold one holds up the event loop for as long as the disk takes.
 *
 * So each read at once is timed. States: *warm*, reads are made at once; *cold*, after two of few took as long as a disk
 * does, the next `pause` small reads go through the pool, and then it is tried again. A single slow one among many says
 * nothing: it is as long when the processor was given to somebody else. The pause doubles when the disk was met again
 * soon, so that the event loop waits for a disk that is needed often once in some thousand reads.
 */
import fs from 'node:fs';

/** Reads larger than this gain nothing: copying takes longer than calling. */
export const warmReadSizeMax = 64 * 1024;

/** A read from memory takes a few microseconds. */
const slowReadMs = 0.1;
/** A slow read at most so many after another one, or after a pause, is the disk's. */
const slowDistanceMax = 256;
/** So many reads at once from one meeting with the disk to the next: what is asked for is in memory. */
const warmRunMin = 1024;
const pauseMin = 32;
const pauseMax = 4096;

export class WarmReads {
  readonly #clock: () => number;
  #pause = pauseMin;
  /** Small reads that are still to go through the pool; 0 while it is warm. */
  #toPass = pauseMin;
  /** Reads at once since the last slow one or pause, and since the last pause. */
  #sinceSlow = 0;
  #sincePause = 0;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** Whether the next small read is made at once. */
  get isWarm(): boolean {
    return this.#toPass === 0;
  }

  /** So many small reads went through the pool. */
  passed(count: number): void {
    this.#toPass = Math.max(0, this.#toPass - count);
  }

  /** Fills `into`. False when the read failed or came short: who reads it again, otherwise, learns why. */
  fill(descriptor: number, offset: number, into: Uint8Array): boolean {
    const start = this.#clock();
    const isFilled = readAtOnce(descriptor, offset, into);
    this.#sinceSlow++;
    this.#sincePause++;
    if (this.#clock() - start > slowReadMs) this.#wasSlow();
    return isFilled;
  }

  #wasSlow(): void {
    const isAgain = this.#sinceSlow <= slowDistanceMax;
    this.#sinceSlow = 0;
    if (!isAgain) return;
    this.#pause = this.#sincePause < warmRunMin ? Math.min(pauseMax, this.#pause * 2) : pauseMin;
    this.#toPass = this.#pause;
    this.#sincePause = 0;
  }
}

function readAtOnce(descriptor: number, offset: number, into: Uint8Array): boolean {
  try {
    return fs.readSync(descriptor, into, 0, into.length, offset) === into.length;
  } catch {
    return false;
  }
}
