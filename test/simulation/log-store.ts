import { crc32c, crcSize } from '../../src/codec/crc32c.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';

const recordSize = 64;
const path = 'log';

/** What a store may be told to forget: each is a mistake that some crash must bring to light. */
export type Mistake = 'no-sync' | 'no-directory-sync' | 'no-checksum' | 'no-rewrite';

/** A log of numbers, as small as one can be: the example on which the simulator's own tests try it. */
export class LogStore {
  readonly #file: DiskFile;
  readonly #mistake: Mistake | undefined;
  readonly #numbers: number[];

  private constructor(file: DiskFile, numbers: number[], mistake: Mistake | undefined) {
    this.#file = file;
    this.#numbers = numbers;
    this.#mistake = mistake;
  }

  get numbers(): readonly number[] {
    return this.#numbers;
  }

  /** Reads the whole records up to the first bad one, cuts the rest, and makes what was read durable. */
  static async open(disk: Disk, mistake?: Mistake): Promise<LogStore> {
    const file = await disk.open(path, { create: true });
    if (mistake !== 'no-directory-sync') await disk.syncDirectory('');
    const bytes = Buffer.alloc(await file.size());
    await file.read(0, bytes);
    const numbers: number[] = [];
    for (let offset = 0; offset + recordSize <= bytes.length; offset += recordSize) {
      const record = bytes.subarray(offset, offset + recordSize);
      const sum = crc32c(record.subarray(crcSize));
      if (mistake !== 'no-checksum' && record.readUInt32BE(0) !== sum) break;
      numbers.push(record.readUInt32BE(crcSize));
    }
    const end = numbers.length * recordSize;
    if (end < bytes.length) await file.truncate(end);
    if (mistake !== 'no-rewrite') await file.write(0, bytes.subarray(0, end));
    await file.sync();
    return new LogStore(file, numbers, mistake);
  }

  async append(number: number): Promise<void> {
    const record = Buffer.alloc(recordSize, number & 0xff);
    record.writeUInt32BE(number, crcSize);
    record.writeUInt32BE(crc32c(record.subarray(crcSize)), 0);
    await this.#file.write(this.#numbers.length * recordSize, record);
    this.#numbers.push(number);
  }

  async commit(): Promise<void> {
    if (this.#mistake !== 'no-sync') await this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
