/**
 * Decides which reads go to a reading thread: the small ones of a disk that sees many of them, from when the thread is
 * there until the last file of the disk is closed. A short run never starts one.
 */
import { availableParallelism } from 'node:os';
import type { DiskRead } from './disk.ts';
import { ReadThread, threadReadSizeMax } from './read-thread.ts';

export class SmallReads {
  readonly #readsBeforeThread: number;
  #files = 0;
  #seen = 0;
  #thread: ReadThread | undefined;
  #ready: Promise<void> = Promise.resolve();
  #isReady = false;

  constructor(readsBeforeThread: number) {
    this.#readsBeforeThread = readsBeforeThread;
  }

  /** Resolves when a thread that was started is there. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** A file of the disk was opened. */
  opened(): void {
    this.#files++;
  }

  /** A file was closed; the last one ends the thread. */
  async closed(): Promise<void> {
    this.#files--;
    if (this.#files > 0) return;
    const thread = this.#thread;
    this.#thread = undefined;
    this.#isReady = false;
    await thread?.stop();
  }

  /** Fills what the thread can fill; gives back what is left to read. `undefined` when it is not for the thread. */
  fill(descriptor: number, reads: readonly DiskRead[]): Promise<readonly DiskRead[]> | undefined {
    if (reads.some(({ into }) => into.length > threadReadSizeMax)) return undefined;
    if (this.#isReady) return this.#thread?.readMany(descriptor, reads);
    this.#seen += reads.length;
    if (this.#thread === undefined && this.#seen > this.#readsBeforeThread && availableParallelism() > 1) this.#start();
    return undefined;
  }

  #start(): void {
    const thread = new ReadThread();
    this.#thread = thread;
    const began = (): void => {
      this.#isReady = this.#thread === thread;
    };
    this.#ready = thread.ready().then(began);
  }
}
