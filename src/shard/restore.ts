/**
 * Makes a shard from a backup, in an empty directory.
 *
 * What is made is a new instance: it goes on from the checkpoint of the backup and knows nothing of what the backed-up
 * shard stored afterwards. So Redis, which knows the old instance, refuses it until `--trust-volume` says that it is meant;
 * the old volume, should it turn up again, is refused for good; and no backup of the one is continued with the other.
 *
 * The records are those of the shard, at the same cursors. Pages of the key index are written whole, the table is made
 * from it. Every byte is compared with the checksums of the backup before the shard counts.
 *
 * Crash behaviour: `checkpoint` is written last, when all else is durable. A directory without it is refused by a worker
 * (`checkpoint-missing`) and by a further restore: it is to be removed.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { type Blob, createBlob } from '../blob/blob.ts';
import { encodeChecksum, physicalPageSize } from '../blob/page.ts';
import { crc32c } from '../codec/crc32c.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { recordSize } from '../freezer/key-record.ts';
import { rebuildTable } from '../freezer/rebuild.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { sectionName } from '../journal/section-blobs.ts';
import { BackupError, backupDamaged } from './backup-error.ts';
import {
  type BackedUpTopology,
  type BackupManifest,
  backupFile,
  readBackupManifest,
  type SectionCopy,
} from './backup-manifest.ts';
import { createCheckpointFile } from './checkpoint-file.ts';
import { createCommitMark } from './commit-mark.ts';
import {
  archiveKeySize,
  engineDefaults,
  freezerSettingsOf,
  partitions,
  sectionFiles,
  withParameters,
} from './engine-settings.ts';
import { type EngineParameters, writeIdentity } from './identity.ts';
import { isLockFile, type OwnerLock } from './owner-lock.ts';
import { SectionManifest } from './section-manifest.ts';
import { type ShardSettings, shardDefaults } from './settings.ts';
import { tableBytesOf } from './store.ts';
import { prepareTableDigests, writeTableDigests } from './table-digests.ts';

export interface RestoreTarget {
  readonly disk: Disk;
  readonly lock: OwnerLock;
  readonly clock: Clock;
  readonly progress?: ((done: number, total: number, phase: string) => void) | undefined;
}

export interface RestoreReport {
  readonly archive: string;
  readonly shard: number;
  readonly engine: EngineParameters;
  /** Instance id of the restored shard. */
  readonly instance: string;
  /** Instance id of the shard that was backed up. */
  readonly backedUpInstance: string;
  readonly epoch: number;
  readonly checkpointSavedAtMs: number;
  readonly recordCount: number;
  readonly sectionCount: number;
  readonly bytes: number;
  /** What the backup knows of the archive's topology: for the data directory, of which nothing is written here. */
  readonly topology: BackedUpTopology | undefined;
}

/** Settings to open the restored shard with, whatever is configured here. */
export function restoredSettings({ archive, shard, engine }: RestoreReport): ShardSettings {
  return { ...shardDefaults, archive, shard, engine: withParameters(engineDefaults, engine) };
}

/** Restores the backup's newest complete state. The target must exist and be empty (`target-in-use` otherwise). */
export async function restoreShard(backup: Disk, target: RestoreTarget): Promise<RestoreReport> {
  const manifest = await readBackupManifest(backup, backupFile);
  if (manifest === undefined) {
    throw new BackupError('backup-incomplete', `there is no complete backup in the directory: it has no ${backupFile}`);
  }
  await requireEmpty(target.disk);
  const held = await target.lock.acquire();
  try {
    await requireEmpty(target.disk);
    return await new Restoration(manifest, backup, target).run();
  } finally {
    held.release();
  }
}

async function requireEmpty(disk: Disk): Promise<void> {
  const found = ((await disk.list('')) ?? []).find((name) => !isLockFile(name));
  if (found === undefined) return;
  const message = `the directory to restore to must be empty, found ${found}; nothing was changed`;
  throw new BackupError('target-in-use', message, { details: { found } });
}

/** Bytes that are read from the backup together. */
const stepBytes = 1 << 20;

class Restoration {
  readonly #manifest: BackupManifest;
  readonly #backup: Disk;
  readonly #target: RestoreTarget;
  readonly #pageSize: number;
  readonly #totalBytes: number;
  #doneBytes = 0;

  constructor(manifest: BackupManifest, backup: Disk, target: RestoreTarget) {
    this.#manifest = manifest;
    this.#backup = backup;
    this.#target = target;
    this.#pageSize = manifest.identity.engine.pageSize;
    this.#totalBytes = manifest.sections.reduce((sum, { keyBytes, valueBytes }) => sum + keyBytes + valueBytes, 0);
  }

  async run(): Promise<RestoreReport> {
    const { identity, checkpoint, checkpointSavedAtMs, sections } = this.#manifest;
    const { disk, progress } = this.#target;
    for (const copy of sections) {
      await this.#restoreValues(copy);
      await this.#restoreKeys(copy);
    }
    await this.#writeSections();
    const settings = freezerSettingsOf(withParameters(engineDefaults, identity.engine));
    const digests = await rebuildTable(disk, settings, checkpoint, progress === undefined ? {} : { progress });
    const instance = randomUUID();
    await prepareTableDigests(disk);
    // Both files, as a shard that is that old has both.
    for (const epoch of [checkpoint.epoch - 1, checkpoint.epoch])
      await writeTableDigests(disk, { checkpoint: { epoch }, instance }, digests);
    await this.#writeSmallFiles(instance);
    const keyBytes = sections.reduce((sum, copy) => sum + copy.keyBytes, 0);
    return {
      ...{ archive: identity.archive, shard: identity.shard, engine: identity.engine },
      ...{ instance, backedUpInstance: identity.instance },
      ...{ epoch: checkpoint.epoch, checkpointSavedAtMs, bytes: this.#totalBytes },
      recordCount: keyBytes / recordSize(archiveKeySize),
      sectionCount: sections.length,
      topology: this.#manifest.topology,
    };
  }

  async #restoreValues(copy: SectionCopy): Promise<void> {
    const { section, valueBytes, valueChecksum } = copy;
    const blob = await createBlob(this.#target.disk, partitions.valuePartition, sectionName(section));
    try {
      const path = sectionFiles(section).values;
      for await (const { offset, bytes } of this.#read(path, valueBytes, valueChecksum, stepBytes)) {
        await blob.writeMany([{ offset, bytes }]);
      }
      await blob.sync();
    } finally {
      await blob.close();
    }
  }

  async #restoreKeys(copy: SectionCopy): Promise<void> {
    const { section, keyBytes, keyChecksum } = copy;
    const blob = await createBlob(this.#target.disk, partitions.keyPartition, sectionName(section));
    try {
      const path = sectionFiles(section).keys;
      const step = Math.max(1, Math.floor(stepBytes / this.#pageSize)) * this.#pageSize;
      for await (const { offset, bytes } of this.#read(path, keyBytes, keyChecksum, step)) {
        await writePages(blob, this.#pageSize, offset / this.#pageSize, bytes);
      }
      await blob.sync();
    } finally {
      await blob.close();
    }
  }

  /** The first `size` bytes of a file of the backup; throws at their end when they are not what was written. */
  async *#read(
    path: string,
    size: number,
    checksum: number,
    step: number,
  ): AsyncGenerator<{ readonly offset: number; readonly bytes: Buffer }> {
    let found = 0;
    const file = await this.#open(path);
    try {
      const there = await file.size();
      if (there < size) throw backupDamaged(path, `${there} bytes found, ${size} expected`);
      for (let offset = 0; offset < size; offset += step) {
        const bytes = Buffer.allocUnsafe(Math.min(step, size - offset));
        await file.read(offset, bytes);
        found = crc32c(bytes, found);
        this.#doneBytes += bytes.length;
        this.#target.progress?.(this.#doneBytes, this.#totalBytes, 'copying');
        yield { offset, bytes };
      }
    } finally {
      await file.close();
    }
    if (found !== checksum) throw backupDamaged(path, `its first ${size} bytes do not match their checksum`);
  }

  async #open(path: string): Promise<DiskFile> {
    if ((await this.#backup.stat(path)) === undefined) throw backupDamaged(path, 'the file is missing');
    return this.#backup.open(path, { create: false });
  }

  async #writeSections(): Promise<void> {
    const { checkpoint, sections } = this.#manifest;
    const manifest = await SectionManifest.create(this.#target.disk);
    try {
      for (const copy of sections) if (copy.section < checkpoint.section) await manifest.append(endOfCopy(copy));
    } finally {
      await manifest.close();
    }
  }

  /** The checkpoint comes last: with it the directory is a shard. */
  async #writeSmallFiles(instance: string): Promise<void> {
    const { identity, checkpoint, checkpointSavedAtMs, initialTableSize, sections } = this.#manifest;
    const { disk } = this.#target;
    const growing = sections[checkpoint.section];
    const end = growing === undefined ? { ...emptySection, section: checkpoint.section } : endOfCopy(growing);
    const mark = await createCommitMark(disk, end);
    await mark.close();
    await writeIdentity(disk, { ...identity, instance });
    const file = await createCheckpointFile(disk, {
      checkpoint,
      instance,
      valueBytes: end.valueBytes,
      // As rebuilt: no resize runs, and all counts of puts a bucket are 0.
      table: { resizeProgress: undefined, resizable: 0, initialSize: initialTableSize },
      tableBytes: await tableBytesOf(disk),
      resizeFrequency: engineDefaults.tableResizeFrequency,
      // The first opening looks through all of it.
      clean: false,
      savedAtMs: checkpointSavedAtMs,
    });
    await file.close();
  }
}

const emptySection: JournalEnd = { section: 0, keyBytes: 0, valueBytes: 0 };

function endOfCopy({ section, keyBytes, valueBytes }: SectionCopy): JournalEnd {
  return { section, keyBytes, valueBytes };
}

/** Writes payload as pages from `first` on, each with one checksum; only the last may be partial. */
async function writePages(blob: Blob, pageSize: number, first: number, payload: Buffer): Promise<void> {
  const size = physicalPageSize(pageSize);
  const pages = Buffer.alloc(Math.ceil(payload.length / pageSize) * size);
  for (let page = 0; page * pageSize < payload.length; page++) {
    const data = payload.subarray(page * pageSize, (page + 1) * pageSize);
    data.copy(pages, page * size);
    encodeChecksum(data.length, crc32c(data)).copy(pages, page * size + pageSize);
  }
  await blob.writeMany([{ offset: first * size, bytes: pages }]);
}
