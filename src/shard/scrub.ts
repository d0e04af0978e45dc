/**
 * Reads the sealed sections of a shard again, slowly and beside its worker, so that rot is found before a reader or the
 * last good backup needs the bytes.
 *
 * All of a section is held against its checksums and its line in the section manifest. Sections at and above the
 * checkpoint's are left out: they still grow, and are young. Nothing is locked or written; damage is told and passed over.
 */
import type { Clock } from '../base/clock.ts';
import { messageOf, PermafrostError } from '../base/errors.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import type { Disk } from '../disk/disk.ts';
import { recordLayout } from '../freezer/key-record.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { closeJournalFiles, type JournalFiles, journalFiles } from '../journal/journal-files.ts';
import { checkpointFile, readCheckpointFile } from './checkpoint-file.ts';
import { archiveKeySize, partitions, sectionFiles } from './engine-settings.ts';
import { identityFile, readIdentity } from './identity.ts';
import { SectionManifest } from './section-manifest.ts';
import { readSection } from './section-reading.ts';
import { damaged } from './shard-error.ts';

export interface ScrubDeps {
  readonly clock: Clock;
  /** Ends the scrub at its next step. */
  readonly signal: AbortSignal;
  /** Bytes read in a second, on average over any stretch of it. */
  readonly bytesPerS: number;
  readonly read: (bytes: number) => void;
  readonly damaged: (finding: ScrubFinding) => void;
}

/** Something that is not what was written. */
export interface ScrubFinding {
  readonly part: 'key' | 'value';
  readonly file: string;
  /** With place, expected and found. */
  readonly problem: string;
}

export interface ScrubReport {
  readonly sectionCount: number;
  readonly bytes: number;
  readonly damageCount: number;
  /** All of them were read. */
  readonly complete: boolean;
}

/** Small steps: what is read and checked at once holds up whoever else waits for the disk or the processor. */
const stretchBytes = 128 * 1024;

/** One pass over what is sealed when it begins. Rejects only when the shard's own small files cannot be read. */
export async function scrubShard(disk: Disk, deps: ScrubDeps): Promise<ScrubReport> {
  const identity = await readIdentity(disk);
  if (identity === undefined) throw damaged(identityFile, 'the file is missing');
  const checkpoint = await readCheckpointFile(disk);
  if (checkpoint === undefined) throw damaged(checkpointFile, 'the file is missing');
  const { ends } = await SectionManifest.read(disk);
  const { pageSize } = identity.engine;
  const files = journalFiles(disk, { ...partitions, pageSize }, recordLayout(archiveKeySize));
  try {
    return await new Scrub(files, deps).run(ends.slice(0, checkpoint.value.checkpoint.section));
  } finally {
    await closeJournalFiles(files);
  }
}

class Scrub {
  readonly #files: JournalFiles;
  readonly #deps: ScrubDeps;
  readonly #pace: Pace;
  #bytes = 0;
  #damageCount = 0;

  constructor(files: JournalFiles, deps: ScrubDeps) {
    this.#files = files;
    this.#deps = deps;
    this.#pace = new Pace(deps);
  }

  async run(ends: readonly JournalEnd[]): Promise<ScrubReport> {
    let sectionCount = 0;
    for (const end of ends) {
      if (this.#deps.signal.aborted) break;
      await this.#scrubSection(end);
      if (!this.#deps.signal.aborted) sectionCount++;
    }
    const complete = sectionCount === ends.length;
    return { sectionCount, complete, bytes: this.#bytes, damageCount: this.#damageCount };
  }

  async #scrubSection(end: JournalEnd): Promise<void> {
    await this.#checkSizes(end);
    const from = { section: end.section, keyBytes: 0, valueBytes: 0 };
    const part = { files: this.#files, from, end, stretchBytes, damaged: (error: Error) => this.#tell(end, error) };
    try {
      for await (const { keys, values } of readSection(part)) {
        const bytes = keys.length + values.length;
        this.#bytes += bytes;
        this.#deps.read(bytes);
        await this.#pace.spend(bytes);
        if (this.#deps.signal.aborted) return;
      }
    } catch (error) {
      // A file that is missing, or a disk that cannot read a sector: the rest of the section cannot be had.
      this.#tell(end, error);
    }
  }

  /** Each file is exactly as long as it was when the section was left. */
  async #checkSizes(end: JournalEnd): Promise<void> {
    const { keys, values } = sectionFiles(end.section);
    const { pageSize } = this.#files;
    const keySize = headerSize + Math.ceil(end.keyBytes / pageSize) * physicalPageSize(pageSize);
    for (const [file, expected] of [
      [keys, keySize],
      [values, headerSize + end.valueBytes],
    ] as const) {
      const found = (await this.#files.disk.stat(file))?.size;
      if (found !== undefined && found > expected)
        this.#tell(end, new Error(`${file}: ${found} bytes found, ${expected} expected`), file);
    }
  }

  #tell(end: JournalEnd, error: unknown, file = fileOf(end, error)): void {
    this.#damageCount++;
    const part = file === sectionFiles(end.section).values ? 'value' : 'key';
    this.#deps.damaged({ part, file, problem: messageOf(error) });
  }
}

function fileOf({ section }: JournalEnd, error: unknown): string {
  const details = error instanceof PermafrostError ? error.details : {};
  const named = details.file ?? details.path;
  return typeof named === 'string' ? named : sectionFiles(section).keys;
}

/** Spreads reading over time. */
class Pace {
  readonly #deps: Pick<ScrubDeps, 'clock' | 'signal' | 'bytesPerS'>;
  #dueMs = 0;

  constructor(deps: Pick<ScrubDeps, 'clock' | 'signal' | 'bytesPerS'>) {
    this.#deps = deps;
  }

  /** Resolves when so many bytes have had their time since the last ones, or when the scrub is to end. */
  async spend(bytes: number): Promise<void> {
    const { clock, signal, bytesPerS } = this.#deps;
    const nowMs = clock.monotonicMs();
    this.#dueMs = Math.max(nowMs, this.#dueMs) + (bytes / bytesPerS) * 1000;
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.after(this.#dueMs - nowMs, resolve);
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await promise;
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', stop);
    }
  }
}
