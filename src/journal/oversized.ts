/**
 * Key index and value journal as one: every record of the index names a frame of the values in the same section.
 *
 * One section grows. `stage` takes what was appended since the last time, `persist` writes it and makes both files
 * durable side by side; what is appended meanwhile stays in memory. A record counts only with its value: no order is
 * kept between the two files, recovery checks both. Values of a large batch go to the disk ahead of their commit.
 *
 * Crash behaviour: what `persist` returned for is durable. Of anything later any part may be on disk.
 */
import type { Reserved, StagedPages } from '../blob/paged-tail.ts';
import type { Disk } from '../disk/disk.ts';
import { HeadStart } from './head-start.ts';
import type { JournalEnd } from './journal-end.ts';
import { KeyIndex } from './key-index.ts';
import type { ReadLink } from './record-links.ts';
import { SectionBlobs } from './section-blobs.ts';
import { type StagedFrames, ValueLog } from './value-log.ts';

export interface OversizedSettings {
  readonly keyPartition: string;
  readonly valuePartition: string;
  readonly pageSize: number;
  readonly cachePages: number;
  readonly recordSize: number;
  readonly readLink: ReadLink;
  readonly keyWriteBuffer: number;
  readonly valueWriteBuffer: number;
}

/** What one `persist` makes durable. */
export interface StagedCommit {
  readonly end: JournalEnd;
  readonly keys: StagedPages | undefined;
  readonly values: StagedFrames | undefined;
}

/** Pieces in which a full buffer of values goes to the disk ahead of its commit. */
const headStartsPerBuffer = 8;

export class Oversized {
  readonly keys: KeyIndex;
  readonly values: ValueLog;
  /** Bytes of values that are worth a write of their own. */
  readonly headStartSize: number;
  readonly #settings: OversizedSettings;
  readonly #headStart: HeadStart;
  #section = 0;
  #hasFiles = false;
  /** Bytes were written that no fsync covers yet. */
  #unsynced = false;
  #persisting = false;

  constructor(disk: Disk, settings: OversizedSettings) {
    this.#settings = settings;
    this.keys = new KeyIndex(new SectionBlobs(disk, settings.keyPartition), settings);
    this.values = new ValueLog(new SectionBlobs(disk, settings.valuePartition), {
      writeBuffer: settings.valueWriteBuffer,
    });
    this.headStartSize = Math.ceil(settings.valueWriteBuffer / headStartsPerBuffer);
    this.#headStart = new HeadStart(this.values);
  }

  /** Section that grows. */
  get section(): number {
    return this.#section;
  }

  get pageSize(): number {
    return this.#settings.pageSize;
  }

  get end(): JournalEnd {
    return { section: this.#section, keyBytes: this.keys.size, valueBytes: this.values.size };
  }

  /** Whether memory holds more than the settings allow. */
  get overfull(): boolean {
    return this.keys.pending >= this.#settings.keyWriteBuffer || this.values.pending >= this.#settings.valueWriteBuffer;
  }

  /** Whether the files of the growing section are there. */
  get hasFiles(): boolean {
    return this.#hasFiles;
  }

  /** Goes on behind `end`; recovery has cut the files to it. */
  async openAt(end: JournalEnd): Promise<void> {
    this.#section = end.section;
    const size = await this.keys.blobs.fileSize(end.section);
    this.#hasFiles = size !== undefined;
    if (!this.#hasFiles) return;
    await this.keys.openTail(end.section, end.keyBytes);
    await this.values.openTail(end.section, end.valueBytes);
  }

  /** Makes the files of the growing section if they are not there. Value file first. */
  async ensureFiles(): Promise<void> {
    if (this.#hasFiles) return;
    await this.values.startSection(this.#section);
    await this.keys.startSection(this.#section);
    this.#hasFiles = true;
  }

  /** Leaves the section, which `persist` has made durable to its end, for the next one. */
  async startNextSection(): Promise<void> {
    this.#section++;
    this.#hasFiles = false;
    await this.ensureFiles();
  }

  /** Room for the next record; its value was appended just before. */
  reserveRecord(): Reserved & { readonly position: number } {
    return this.keys.reserve();
  }

  /**
   * Lets the disk begin with the values in memory, when they are many and it has time: neither a commit nor the head
   * start before is being written. Rejects when they are lost; the next commit then fails too. It never finds nothing to
   * do: each value has a record, which is in memory or has overflowed.
   */
  headStart(): Promise<void> | undefined {
    if (this.#persisting || this.#headStart.isWriting || this.values.pending < this.headStartSize) return undefined;
    return this.#headStart.begin();
  }

  /** The write of a head start has ended: until then nothing can be staged. */
  written(): Promise<void> {
    return this.#headStart.written();
  }

  /** Takes everything that was appended; `undefined` when all of it is durable already. */
  stage(): StagedCommit | undefined {
    const keys = this.keys.stage({ partial: true });
    const values = this.values.stage();
    if (keys === undefined && values === undefined && !this.#unsynced) return undefined;
    this.#unsynced = false;
    return { end: this.end, keys, values };
  }

  /**
   * Writes and fsyncs what was staged, both files and `alongside` in parallel; waits for all of them, also on failure.
   */
  async persist(staged: StagedCommit, alongside?: () => Promise<void>): Promise<void> {
    this.#persisting = true;
    const outcomes = await Promise.allSettled([this.#persistKeys(staged), this.#persistValues(staged), alongside?.()]);
    this.#persisting = false;
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Writes whole pages and values to make room in memory. Durable only with the next `persist`. */
  async overflow(): Promise<void> {
    const keys = this.keys.stage({ partial: false });
    const values = this.values.stage();
    this.#unsynced = true;
    if (values !== undefined) await this.values.write(values);
    if (keys !== undefined) await this.keys.write(keys);
  }

  async close(): Promise<void> {
    this.#headStart.stop();
    await this.keys.close();
    await this.values.close();
  }

  async #persistKeys(staged: StagedCommit): Promise<void> {
    if (staged.keys !== undefined) await this.keys.write(staged.keys);
    await this.keys.sync();
  }

  async #persistValues(staged: StagedCommit): Promise<void> {
    if (staged.values !== undefined) await this.values.write(staged.values);
    // One that failed is not repeated: it would say that all is well.
    await this.#headStart.settled();
    await this.values.sync();
  }
}
