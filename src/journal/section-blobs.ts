/**
 * The section files of one partition. Files are opened when they are asked for and kept in a bounded set; one that is
 * in use is never closed. Names are sixteen lower-case hex digits; anything else in the directory is refused (H18).
 */
import { present } from '../base/assert.ts';
import { Counter } from '../base/counter.ts';
import { type Blob, createBlob, openBlob } from '../blob/blob.ts';
import { BlobError, corruption } from '../blob/blob-error.ts';
import type { Disk } from '../disk/disk.ts';

const nameDigits = 16;
const namePattern = /^[0-9a-f]{16}$/;
/** Section files of one partition that stay open. */
const openFilesMax = 64;

export function sectionName(section: number): string {
  return section.toString(16).padStart(nameDigits, '0');
}

interface OpenFile {
  readonly blob: Promise<Blob>;
  /** The blob once it is there. */
  opened: Blob | undefined;
  users: number;
}

export class SectionBlobs {
  readonly partition: string;
  readonly #disk: Disk;
  readonly #files = new Map<number, OpenFile>();
  #closed = false;
  /** Section files opened, made durable and removed. */
  readonly tracked = new Counter();
  readonly synced = new Counter();
  readonly pruned = new Counter();

  constructor(disk: Disk, partition: string) {
    this.#disk = disk;
    this.partition = partition;
  }

  path(section: number): string {
    return `${this.partition}/${sectionName(section)}`;
  }

  /** Section numbers that have a file, ascending. */
  async list(): Promise<readonly number[]> {
    const names = (await this.#disk.list(this.partition)) ?? [];
    return names.map((name) => this.#parse(name)).sort((left, right) => left - right);
  }

  /** Size of the file, header included; `undefined` when there is none. */
  async fileSize(section: number): Promise<number | undefined> {
    const found = await this.#disk.stat(this.path(section));
    if (found !== undefined && found.kind !== 'file') throw this.#stray(sectionName(section), found.kind);
    return found?.size;
  }

  /** Makes the file of a new section, durable and empty, and keeps it open until `close`. */
  async create(section: number): Promise<Blob> {
    const blob = await createBlob(this.#disk, this.partition, sectionName(section));
    this.tracked.add();
    this.#files.set(section, { blob: Promise.resolve(blob), opened: blob, users: 1 });
    return blob;
  }

  /** The file, to be given back with `release`. A missing one is the error `not-found` of the disk. */
  async acquire(section: number): Promise<Blob> {
    if (this.#closed)
      throw new BlobError('closed', `${this.partition} is closed`, { details: { file: this.partition } });
    let file = this.#files.get(section);
    if (file === undefined) {
      file = { blob: openBlob(this.#disk, this.path(section)), opened: undefined, users: 0 };
      this.tracked.add();
    }
    this.#use(section, file);
    file.users++;
    try {
      file.opened = await file.blob;
      return file.opened;
    } catch (error) {
      this.#files.delete(section);
      throw error;
    }
  }

  /** The file, if it is open, for use before the next turn of the event loop: nothing is given back. */
  peek(section: number): Blob | undefined {
    const file = this.#files.get(section);
    // Who is close to being closed is used, and so is not the next one to go.
    if (file !== undefined && this.#files.size > openFilesMax / 2) this.#use(section, file);
    return file?.opened;
  }

  async release(section: number): Promise<void> {
    if (this.#closed) return;
    present(this.#files.get(section), 'an acquired file').users--;
    for (const [candidate, file] of this.#files) {
      if (this.#files.size <= openFilesMax) return;
      if (file.users > 0) continue;
      this.#files.delete(candidate);
      await (await file.blob).close();
    }
  }

  /** Removes the file durably. Nobody uses it. */
  async remove(section: number): Promise<void> {
    const file = this.#files.get(section);
    this.#files.delete(section);
    if (file !== undefined) await (await file.blob).close();
    await this.#disk.remove(this.path(section));
    await this.#disk.syncDirectory(this.partition);
    this.pruned.add();
  }

  /** Closes every file when what is under way on it has ended; nothing can be acquired any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const { blob } of files) {
      const opened = await blob.catch(() => undefined);
      await opened?.close();
    }
  }

  /** Puts the file behind those that were used before it. */
  #use(section: number, file: OpenFile): void {
    this.#files.delete(section);
    this.#files.set(section, file);
  }

  #parse(name: string): number {
    if (!namePattern.test(name)) throw this.#stray(name, 'stray name');
    const section = Number.parseInt(name, 16);
    if (!Number.isSafeInteger(section)) throw this.#stray(name, 'section above 2^53');
    return section;
  }

  #stray(name: string, found: string): Error {
    const file = `${this.partition}/${name}`;
    return corruption('not a section file', { file, offset: 0, expected: 'sixteen lower-case hex digits', found });
  }
}
