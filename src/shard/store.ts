/**
 * One opened instance of a shard's files: the freezer with its checkpoint file, commit mark and section manifest.
 *
 * After a failed write the instance is given up: the shard opens another one on the same files, while this one still
 * answers reads. What an instance does to the files while it is opened, in this order:
 *
 * 1. reads everything, and refuses what does not hold together;
 * 2. makes a file of digests that is missing, and writes the chosen slots of checkpoint and commit mark again and syncs
 *    them, so that neither can be lost once the other slot is being written;
 * 3. opens the freezer: after a clean close without a scan, else at the checkpoint with roll-forward to the last record;
 * 4. cuts off the manifest's line of a rollover that was interrupted;
 * 5. after a clean close clears the clean mark; after a roll-forward syncs, so that an open shard sits at its checkpoint;
 * 6. writes the commit mark into its other slot too, if a crash tore that one.
 *
 * A crash in between repeats it. Nothing is appended before the last step is done.
 */
import { present } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../disk/disk.ts';
import type { Checkpoint } from '../freezer/checkpoint.ts';
import { Freezer } from '../freezer/freezer.ts';
import type { HeadDigests } from '../freezer/head-digests.ts';
import { recordSize } from '../freezer/key-record.ts';
import type { FreezerStart, TableState } from '../freezer/start.ts';
import { compareEnds, type JournalEnd } from '../journal/journal-end.ts';
import { type CheckpointFile, endOf, openCheckpointFile, type SavedCheckpoint } from './checkpoint-file.ts';
import { type CommitMark, openCommitMark } from './commit-mark.ts';
import { archiveKeySize, type EngineSettings, freezerSettingsOf, tableFile } from './engine-settings.ts';
import type { Envelope } from './envelope.ts';
import { SectionManifest } from './section-manifest.ts';
import { prepareTableDigests, readTableDigests, writeTableDigests } from './table-digests.ts';

export interface StoreDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly engine: EngineSettings;
  /** Progress of the long parts of opening. */
  readonly progress?: ((done: number, total: number, phase: string) => void) | undefined;
}

export interface StoreFiles {
  readonly checkpoint: CheckpointFile;
  readonly mark: CommitMark;
  readonly manifest: SectionManifest;
}

export class Store {
  readonly freezer: Freezer<Envelope>;
  readonly #deps: StoreDeps;
  readonly #files: StoreFiles;
  #syncFailed = false;
  #filesClosed = false;

  constructor(deps: StoreDeps, files: StoreFiles, freezer: Freezer<Envelope>) {
    this.#deps = deps;
    this.#files = files;
    this.freezer = freezer;
  }

  /** Opens what is there, and leaves it at its checkpoint; see the head. */
  static async open(deps: StoreDeps): Promise<Store> {
    const files = await openFiles(deps.disk);
    try {
      const digests = await readTableDigests(deps.disk, files.checkpoint.newest.value);
      const start = startOf(files, deps.engine, { bytes: await tableBytesOf(deps.disk), digests });
      await prepareTableDigests(deps.disk);
      await files.checkpoint.settle();
      await files.mark.settle();
      const store = new Store(deps, files, await openFreezer(deps, files.manifest, start));
      try {
        await store.#settle(start);
        await files.mark.mendOther();
      } catch (error) {
        await store.freezer.release();
        throw error;
      }
      return store;
    } catch (error) {
      await closeFiles(files);
      throw error;
    }
  }

  /** The newest durable checkpoint. */
  get saved(): SavedCheckpoint {
    return this.#files.checkpoint.newest.value;
  }

  /** Number of the last commit. */
  get commitNumber(): number {
    return this.#files.mark.newest.sequence;
  }

  /** Records in the key index, all versions. */
  get recordCount(): number {
    const keyBytes = this.sealed.reduce((sum, end) => sum + end.keyBytes, this.freezer.end.keyBytes);
    return keyBytes / recordSize(archiveKeySize);
  }

  /** Ends of the sections that were left. */
  get sealed(): readonly JournalEnd[] {
    return this.#files.manifest.ends;
  }

  /**
   * Whether a sync failed. The table on disk may then be ahead of the checkpoint, in heads and in size; once another
   * instance has begun to take that back, this one must not answer reads any more.
   */
  get syncFailed(): boolean {
    return this.#syncFailed;
  }

  /** Makes everything durable that was appended before. */
  commit(): Promise<JournalEnd> {
    return this.freezer.commit((previous) => this.#files.mark.write(previous));
  }

  /** Commits, writes the table and replaces the checkpoint; with `clean` nothing may be written afterwards. */
  async sync(options: { readonly clean: boolean }): Promise<SavedCheckpoint> {
    try {
      await this.freezer.sync((checkpoint, table) => this.#save(checkpoint, table, options.clean));
    } catch (error) {
      this.#syncFailed = true;
      throw error;
    }
    return this.saved;
  }

  /** Gives back the shard's own files; the freezer still answers reads. */
  async closeFiles(): Promise<void> {
    if (this.#filesClosed) return;
    this.#filesClosed = true;
    await closeFiles(this.#files);
  }

  /** Gives back everything; makes nothing durable. */
  async release(): Promise<void> {
    await this.closeFiles();
    await this.freezer.release();
  }

  async #settle(start: FreezerStart): Promise<void> {
    await this.#files.manifest.growFrom(this.freezer.end.section);
    if (start.kind === 'clean') await this.#files.checkpoint.write({ ...this.saved, clean: false });
    else await this.sync({ clean: false });
  }

  async #save(checkpoint: Checkpoint, table: TableState, clean: boolean): Promise<void> {
    const { instance } = this.saved;
    await writeTableDigests(this.#deps.disk, { checkpoint, instance }, present(table.digests, 'digests'));
    await this.#files.checkpoint.write({
      checkpoint,
      table,
      clean,
      instance,
      valueBytes: this.freezer.committed.valueBytes,
      tableBytes: await tableBytesOf(this.#deps.disk),
      resizeFrequency: this.#deps.engine.tableResizeFrequency,
      savedAtMs: this.#deps.clock.wallMs(),
    });
  }
}

/** Opens the freezer so that each rollover is noted in the manifest. */
export function openFreezer(
  deps: StoreDeps,
  manifest: SectionManifest,
  start: FreezerStart,
): Promise<Freezer<Envelope>> {
  const { disk, engine, logger, progress } = deps;
  return Freezer.open(disk, freezerSettingsOf(engine), start, {
    sealed: (end) => manifest.append(end),
    logger,
    ...(progress === undefined ? {} : { progress }),
  });
}

/** The table's file, and what its heads should add up to. */
interface FoundTable {
  readonly bytes: number;
  readonly digests: HeadDigests;
}

/** How the freezer must be opened for what the shard's files say. */
function startOf(files: StoreFiles, engine: EngineSettings, found: FoundTable): FreezerStart {
  const { value: saved, otherUnreadable } = files.checkpoint.newest;
  const { checkpoint, clean } = saved;
  const table = { ...saved.table, digests: found.digests };
  const sealed = files.manifest.ends;
  const unchanged = saved.tableBytes === found.bytes && saved.resizeFrequency === engine.tableResizeFrequency;
  if (clean && !otherUnreadable && unchanged)
    return { kind: 'clean', checkpoint, table, sealed: [...sealed, endOf(saved)] };
  const mark = files.mark.newest.value;
  const markHelps = compareEnds(mark, endOf(saved)) > 0;
  return { kind: 'roll-forward', checkpoint, table, sealed, mark: markHelps ? mark : undefined };
}

/** Length of the table file; 0 when it is missing. */
export async function tableBytesOf(disk: Disk): Promise<number> {
  const found = await disk.stat(tableFile);
  return found?.size ?? 0;
}

async function openFiles(disk: Disk): Promise<StoreFiles> {
  const checkpoint = await openCheckpointFile(disk);
  try {
    const mark = await openCommitMark(disk);
    try {
      return { checkpoint, mark, manifest: await SectionManifest.open(disk) };
    } catch (error) {
      await mark.close();
      throw error;
    }
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

async function closeFiles(files: StoreFiles): Promise<void> {
  await files.checkpoint.close();
  await files.mark.close();
  await files.manifest.close();
}
