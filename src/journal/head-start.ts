/**
 * A head start for values: while the later values of a large batch are copied and checksummed, the disk writes the
 * earlier ones and makes them durable, so that the commit finds most of its work done.
 *
 * One write and one fsync at a time, side by side: a write begins when the one before has ended, and an fsync behind a
 * write unless one is under way. A failure stays: `written` and `settled` throw it ever after.
 *
 * Invariant: the system tells of a lost write to one fsync of the file only. So a commit waits for `settled` before its
 * own, and nothing begins here while a commit runs.
 *
 * Crash behaviour: behind the last commit any part of the values may be on disk. No record there names them.
 */
import type { ValueLog } from './value-log.ts';

export class HeadStart {
  readonly #values: ValueLog;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #stopped = false;

  constructor(values: ValueLog) {
    this.#values = values;
  }

  /** Whether a write is under way, or failed. */
  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  /** Writes what is in memory; no write is under way. Rejects when that or the fsync behind it failed. */
  async begin(): Promise<void> {
    const staged = this.#values.stage();
    if (staged === undefined) return;
    this.#writing = this.#values.write(staged);
    await this.#writing;
    this.#writing = undefined;
    if (this.#syncing !== undefined || this.#stopped) return;
    this.#syncing = this.#values.sync();
    await this.#syncing;
    this.#syncing = undefined;
  }

  /** The write under way has ended. */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** Write and fsync under way have ended, and none of all of them failed. */
  async settled(): Promise<void> {
    await this.#writing;
    await this.#syncing;
  }

  /** No further fsync begins: the file is about to be closed. */
  stop(): void {
    this.#stopped = true;
  }
}
