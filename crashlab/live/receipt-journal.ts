import { type FileHandle, open } from 'node:fs/promises';
import { Violation } from '../experiment.ts';

/** A record that the archive has acknowledged. */
export interface Acknowledged {
  readonly key: string;
  /** The how-manieth version of its key, from 1. */
  readonly version: number;
  /** Bytes of its value. */
  readonly size: number;
  readonly cursor: string;
}

/**
 * What a careful client writes down: each receipt, synced to a file before it counts as received. Every receipt in it
 * is a promise that no later fault may break.
 */
export class ReceiptJournal {
  readonly #file: FileHandle;
  readonly #records: Acknowledged[] = [];
  readonly #newest = new Map<string, number>();
  readonly #cursors = new Set<string>();
  #lines: string[] = [];
  #writing: Promise<void> | undefined;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<ReceiptJournal> {
    return new ReceiptJournal(await open(path, 'wx'));
  }

  /** All of them, in the order in which they came. */
  get records(): readonly Acknowledged[] {
    return this.#records;
  }

  /** The newest version of the key that was acknowledged; 0 if none was. */
  newestOf(key: string): number {
    return this.#newest.get(key) ?? 0;
  }

  /** Resolves when the receipt is in the file. Throws a Violation when a place was given away before. */
  async add(records: readonly Acknowledged[]): Promise<void> {
    for (const { key, cursor } of records) {
      if (this.#cursors.has(cursor)) throw new Violation(`the place ${cursor} was given to ${key} and another record`);
      this.#cursors.add(cursor);
    }
    this.#lines.push(`${JSON.stringify(records)}\n`);
    while (this.#lines.length > 0 || this.#writing !== undefined) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
    for (const record of records) {
      this.#records.push(record);
      this.#newest.set(record.key, Math.max(record.version, this.newestOf(record.key)));
    }
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #write(): Promise<void> {
    const text = this.#lines.join('');
    this.#lines = [];
    await this.#file.write(text);
    await this.#file.datasync();
  }
}
