/**
 * Copies a shard as it was at one of its checkpoints, while its worker runs or not.
 *
 * No lock of the shard is taken and nothing of it is waited for. What a durable checkpoint covers is never written again,
 * with two exceptions: the last page of the growing key section, which is copied as payload (see section-reading), and
 * the table, which is not copied at all but made from the key index when the backup is restored.
 *
 * The copy only ever grows: a further backup into the same directory appends what the last one does not have. So
 * whatever happens on the way, the backup that was complete before can be restored; and bytes that rot in the shard
 * never replace good ones in the backup, they stop the backup where it meets them. Order of one run:
 *
 * 1. reads what the shard and the backup directory say, and refuses what does not belong together;
 * 2. appends to each section what is missing, up to the checkpoint; all of it is read with its checksums;
 * 3. after each section that is complete, durably, says so in `backup-unfinished.json`;
 * 4. when everything is durable, replaces `backup.json`. Before that the backup is the one before, or none.
 *
 * A run that was cut short leaves bytes behind what the documents count; the next one cuts them off and goes on.
 */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { BlobError } from '../blob/blob-error.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { recordLayout } from '../freezer/key-record.ts';
import { compareEnds, type JournalEnd } from '../journal/journal-end.ts';
import { closeJournalFiles, type JournalFiles, journalFiles } from '../journal/journal-files.ts';
import { BackupError } from './backup-error.ts';
import { type History, hasAllOf, otherHistory, requireSameHistory } from './backup-history.ts';
import {
  type BackedUpTopology,
  backupFile,
  readBackupManifest,
  type SectionCopy,
  unfinishedBackupFile,
  writeBackupManifest,
} from './backup-manifest.ts';
import { checkpointFile, endOf, readCheckpointFile, type SavedCheckpoint } from './checkpoint-file.ts';
import { archiveKeySize, partitions, sectionFiles } from './engine-settings.ts';
import { identityFile, readIdentity } from './identity.ts';
import { lastBackupFile, writeLastSuccess } from './last-success.ts';
import { isLockFile, type OwnerLock } from './owner-lock.ts';
import { unfinishedEnding } from './replace-file.ts';
import { SectionManifest, sectionManifestFile } from './section-manifest.ts';
import { readSection } from './section-reading.ts';
import { recordCountOf } from './shard-checkpoint.ts';
import { damaged } from './shard-error.ts';
import { readVolume } from './volume.ts';

export interface BackupTarget {
  readonly disk: Disk;
  /** Keeps a second backup away from the directory. */
  readonly lock: OwnerLock;
}

export interface BackupDeps {
  readonly clock: Clock;
  /** Bytes that are copied of those that have to be. */
  readonly progress?: ((done: number, total: number, phase: string) => void) | undefined;
  /** Written down with the shard, unless the backup before knew more of it. */
  readonly topology?: BackedUpTopology | undefined;
}

export interface BackupReport {
  readonly instance: string;
  /** Of the checkpoint that the backup is of. */
  readonly epoch: number;
  readonly checkpointSavedAtMs: number;
  readonly recordCount: number;
  readonly sectionCount: number;
  /** As the backup has it now. */
  readonly topology: BackedUpTopology | undefined;
  /** Bytes that this run copied, and that the backup had already. */
  readonly copiedBytes: number;
  readonly keptBytes: number;
  /** Why the time of the backup could not be left in the shard's directory for the worker's metric. */
  readonly untold: string | undefined;
}

/** What a shard's files say at one moment. */
interface Source extends History {
  readonly saved: SavedCheckpoint;
}

/**
 * Brings the backup to the shard's newest checkpoint. Bytes of the shard that are not what was written are `corruption`
 * or `damaged`; then, and after any other error, the backup in the directory is the one before.
 */
export async function backupShard(shard: Disk, target: BackupTarget, deps: BackupDeps): Promise<BackupReport> {
  const source = await readSource(shard);
  await requireBackupDirectory(target.disk);
  const held = await target.lock.acquire();
  const { pageSize } = source.identity.engine;
  const files = journalFiles(shard, { ...partitions, pageSize }, recordLayout(archiveKeySize));
  try {
    const report = await new Backup(source, files, target.disk, deps).run();
    return { ...report, untold: await tellShard(shard, deps.clock) };
  } finally {
    await closeJournalFiles(files);
    held.release();
  }
}

/** The checkpoint is read first: what it covers is durable and stays as it is, whatever the worker does meanwhile. */
async function readSource(disk: Disk): Promise<Source> {
  const volume = await readVolume(disk);
  const reading = await readCheckpointFile(disk);
  if (volume.kind !== 'whole' || reading === undefined) {
    throw new BackupError('nothing-to-back-up', `there is no shard to back up in the directory (${volume.kind})`);
  }
  const saved = reading.value;
  const identity = await readIdentity(disk);
  if (identity === undefined) throw damaged(identityFile, 'the file is missing');
  if (identity.instance !== saved.instance) {
    throw damaged(checkpointFile, `it is of instance ${saved.instance}, ${identityFile} says ${identity.instance}`);
  }
  const { section } = saved.checkpoint;
  const sealed = (await SectionManifest.read(disk)).ends.slice(0, section);
  if (sealed.length < section) {
    throw damaged(sectionManifestFile, `${sealed.length} lines found, at least ${section} expected`);
  }
  const growing = endOf(saved);
  return { identity, saved, ends: growing.keyBytes === 0 ? sealed : [...sealed, growing] };
}

const ownNames: readonly string[] = [
  ...[backupFile, unfinishedBackupFile].flatMap((name) => [name, name + unfinishedEnding]),
  ...[partitions.keyPartition, partitions.valuePartition],
];

/** Passes a directory that holds nothing but a backup, complete or not. */
async function requireBackupDirectory(disk: Disk): Promise<void> {
  const stray = ((await disk.list('')) ?? []).find((name) => !ownNames.includes(name) && !isLockFile(name));
  if (stray === undefined) return;
  const message = `the directory holds ${stray}, which is of no backup; nothing was changed; name another directory`;
  throw new BackupError('backup-mismatch', message, { details: { found: stray } });
}

class Backup {
  readonly #source: Source;
  readonly #files: JournalFiles;
  readonly #target: Disk;
  readonly #deps: BackupDeps;
  #topology: BackedUpTopology | undefined;
  #copiedBytes = 0;
  #missingBytes = 0;

  constructor(source: Source, files: JournalFiles, target: Disk, deps: BackupDeps) {
    this.#source = source;
    this.#files = files;
    this.#target = target;
    this.#deps = deps;
    this.#topology = deps.topology;
  }

  async run(): Promise<Omit<BackupReport, 'untold'>> {
    const { identity, saved, ends } = this.#source;
    const before = await this.#copiesBefore();
    const kept = before.filter(({ isThere }) => isThere).map(({ copy }) => copy);
    this.#missingBytes = bytesOf(ends) - bytesOf(kept);
    await this.#makePartitions();
    const sections: SectionCopy[] = [];
    for (const end of ends) {
      const known = before[end.section];
      if (known?.isThere === true && compareEnds(known.copy, end) === 0) {
        sections.push(known.copy);
        continue;
      }
      sections.push(await this.#grow(end, known));
      if (end.section < saved.checkpoint.section) await this.#write(unfinishedBackupFile, sections);
    }
    await this.#write(backupFile, sections);
    await this.#forgetUnfinished();
    return {
      instance: identity.instance,
      epoch: saved.checkpoint.epoch,
      checkpointSavedAtMs: saved.savedAtMs,
      recordCount: recordCountOf(saved, ends),
      sectionCount: sections.length,
      topology: this.#topology,
      copiedBytes: this.#copiedBytes,
      keptBytes: bytesOf(kept),
    };
  }

  /** What the directory holds already: the backup before, or what an interrupted one has come to behind it. */
  async #copiesBefore(): Promise<readonly KnownCopy[]> {
    const complete = await readBackupManifest(this.#target, backupFile);
    const unfinished = await readBackupManifest(this.#target, unfinishedBackupFile);
    for (const manifest of [complete, unfinished]) {
      if (manifest === undefined) continue;
      await requireSameHistory(this.#source, this.#files, this.#target, manifest);
      // Generations are only ever added: the longer list is the newer one.
      if ((manifest.topology?.length ?? 0) > (this.#topology?.length ?? 0)) this.#topology = manifest.topology;
    }
    const ofComplete = complete?.sections ?? [];
    const ofUnfinished = unfinished?.sections ?? [];
    const sections = isAhead(ofUnfinished.at(-1), ofComplete.at(-1)) ? ofUnfinished : ofComplete;
    const known: KnownCopy[] = [];
    for (const copy of sections) known.push({ copy, isThere: await hasAllOf(this.#target, copy) });
    return known;
  }

  async #makePartitions(): Promise<void> {
    await this.#target.makeDirectory(partitions.keyPartition);
    await this.#target.makeDirectory(partitions.valuePartition);
    await this.#target.syncDirectory('');
  }

  /** Appends to the section's copy what it does not have; durable on return. A copy that lost its files is made anew. */
  async #grow(end: JournalEnd, known: KnownCopy | undefined): Promise<SectionCopy> {
    const copy = await GrowingCopy.open(this.#target, end.section, known?.isThere === true ? known.copy : undefined);
    try {
      if (known?.isThere === false) {
        await this.#copyUpTo(known.copy, copy);
        if (!copy.isSame(known.copy)) throw otherHistory(sectionFiles(end.section).keys);
      }
      await this.#copyUpTo(end, copy);
      await copy.sync();
      return copy.reached;
    } finally {
      await copy.close();
    }
  }

  async #copyUpTo(end: JournalEnd, copy: GrowingCopy): Promise<void> {
    const part = { files: this.#files, from: copy.reached, end, damaged: refuse };
    for await (const { keys, values } of readSection(part)) {
      await copy.append(keys, values);
      this.#copiedBytes += keys.length + values.length;
      this.#deps.progress?.(this.#copiedBytes, this.#missingBytes, 'copying');
    }
  }

  /** Says what is durable; the files' own entries are made so before. */
  async #write(path: string, sections: readonly SectionCopy[]): Promise<void> {
    const { identity, saved } = this.#source;
    await this.#target.syncDirectory(partitions.keyPartition);
    await this.#target.syncDirectory(partitions.valuePartition);
    await writeBackupManifest(this.#target, path, {
      identity,
      sections,
      checkpoint: saved.checkpoint,
      checkpointSavedAtMs: saved.savedAtMs,
      initialTableSize: saved.table.initialSize,
      completed: new Date(this.#deps.clock.wallMs()).toISOString(),
      topology: this.#topology,
    });
  }

  async #forgetUnfinished(): Promise<void> {
    if ((await this.#target.stat(unfinishedBackupFile)) === undefined) return;
    await this.#target.remove(unfinishedBackupFile);
    await this.#target.syncDirectory('');
  }
}

interface KnownCopy {
  readonly copy: SectionCopy;
  /** Both of its files are there, as long as they must be. */
  readonly isThere: boolean;
}

/** The two files of a section's copy, which are appended to. */
class GrowingCopy {
  readonly #keys: DiskFile;
  readonly #values: DiskFile;
  #reached: SectionCopy;

  private constructor(keys: DiskFile, values: DiskFile, reached: SectionCopy) {
    this.#keys = keys;
    this.#values = values;
    this.#reached = reached;
  }

  /** Goes on behind the copy, or begins anew; what lies behind was never counted. */
  static async open(disk: Disk, section: number, copy: SectionCopy | undefined): Promise<GrowingCopy> {
    const reached = copy ?? { section, keyBytes: 0, valueBytes: 0, keyChecksum: 0, valueChecksum: 0 };
    const paths = sectionFiles(section);
    const keys = await openAt(disk, paths.keys, reached.keyBytes);
    try {
      return new GrowingCopy(keys, await openAt(disk, paths.values, reached.valueBytes), reached);
    } catch (error) {
      await keys.close();
      throw error;
    }
  }

  get reached(): SectionCopy {
    return this.#reached;
  }

  isSame(copy: SectionCopy): boolean {
    const { keyChecksum, valueChecksum } = this.#reached;
    return keyChecksum === copy.keyChecksum && valueChecksum === copy.valueChecksum;
  }

  async append(keys: Buffer, values: Buffer): Promise<void> {
    const { section, keyBytes, valueBytes, keyChecksum, valueChecksum } = this.#reached;
    await this.#keys.write(keyBytes, keys);
    await this.#values.write(valueBytes, values);
    this.#reached = {
      section,
      keyBytes: keyBytes + keys.length,
      valueBytes: valueBytes + values.length,
      keyChecksum: crc32c(keys, keyChecksum),
      valueChecksum: crc32c(values, valueChecksum),
    };
  }

  async sync(): Promise<void> {
    await this.#keys.sync();
    await this.#values.sync();
  }

  async close(): Promise<void> {
    await this.#keys.close();
    await this.#values.close();
  }
}

async function openAt(disk: Disk, path: string, size: number): Promise<DiskFile> {
  const file = await disk.open(path, { create: true });
  try {
    if ((await file.size()) !== size) await file.truncate(size);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function refuse(error: BlobError): never {
  throw error;
}

function isAhead(left: JournalEnd | undefined, right: JournalEnd | undefined): boolean {
  return left !== undefined && (right === undefined || compareEnds(left, right) > 0);
}

function bytesOf(ends: readonly JournalEnd[]): number {
  return ends.reduce((sum, { keyBytes, valueBytes }) => sum + keyBytes + valueBytes, 0);
}

/** Leaves the time where the shard's worker finds it. A volume that is mounted to be read only is no failure. */
async function tellShard(shard: Disk, clock: Clock): Promise<string | undefined> {
  try {
    await writeLastSuccess(shard, lastBackupFile, clock.wallMs());
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
