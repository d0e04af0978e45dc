/**
 * What a backup directory holds, and how far each of its files counts: whatever lies behind that was never finished.
 *
 * There are two documents of one format. `backup.json` is written last, when all that it names is durable, and replaced
 * atomically: it is a backup that can be restored, always. `backup-unfinished.json` is the same about a backup that is
 * being made, after each section: nothing is restored from it, the next run goes on behind it.
 *
 * A section is two files that only ever grow: `key/<section>` has the payload of its key index, records back to back
 * without pages, `value/<section>` the frames of its values. Neither has a header.
 */
import type { Disk } from '../disk/disk.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../freezer/checkpoint.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { BackupError, backupDamaged } from './backup-error.ts';
import { type DocumentMembers, decodeDocument, encodeDocument, isObject } from './checked-document.ts';
import { type Identity, isIdentity } from './identity.ts';
import { readWhole, replaceFile } from './replace-file.ts';

export const backupFile = 'backup.json';
export const unfinishedBackupFile = 'backup-unfinished.json';
const formatVersion = 1;

/** A section as the backup has it. */
export interface SectionCopy extends JournalEnd {
  /** CRC-32C of the payload of its key index, and of the frames of its values. */
  readonly keyChecksum: number;
  readonly valueChecksum: number;
}

/** What was known beside the shard of the numbers of shards that the archive has had; what it means is not known here. */
export type BackedUpTopology = readonly { readonly shards: number; readonly time: number }[];

export interface BackupManifest {
  /** Of the shard that was backed up. */
  readonly identity: Identity;
  /** The checkpoint that the backup is of. */
  readonly checkpoint: Checkpoint;
  readonly checkpointSavedAtMs: number;
  /** Buckets that the shard's table began with. */
  readonly initialTableSize: number;
  /** Wall clock of the end of the backup, ISO 8601. */
  readonly completed: string;
  /** Oldest first; undefined when no backup into the directory knew it. */
  readonly topology: BackedUpTopology | undefined;
  /** Section 0 first, no gaps; none for an empty shard. */
  readonly sections: readonly SectionCopy[];
}

/** The document, or undefined when it is missing. One that is not what was written is `backup-damaged`. */
export async function readBackupManifest(disk: Disk, path: string): Promise<BackupManifest | undefined> {
  const bytes = await readWhole(disk, path);
  return bytes === undefined ? undefined : parse(path, bytes);
}

/** Durable on return; after a crash the document is this one or the one before. */
export async function writeBackupManifest(disk: Disk, path: string, manifest: BackupManifest): Promise<void> {
  const { identity, checkpoint, checkpointSavedAtMs, initialTableSize, completed, topology, sections } = manifest;
  const { archive, shard, instance, engine, created } = identity;
  const members = {
    ...{ archive, shard, instance, engine, created },
    checkpoint: encodeCheckpoint(checkpoint).toString('hex'),
    ...{ checkpointSavedAtMs, initialTableSize, completed, topology, sections },
  };
  await replaceFile(disk, path, encodeDocument(formatVersion, members));
}

/** Where the copies end; undefined when there is none. */
export function endOfCopies({ sections }: BackupManifest): SectionCopy | undefined {
  return sections.at(-1);
}

function parse(path: string, bytes: Buffer): BackupManifest {
  const members = decodeDocument(bytes, {
    version: formatVersion,
    damaged: (finding, cause) => {
      throw backupDamaged(path, finding, cause);
    },
    unknownVersion: (found) => {
      const message = `${path}: format ${found} found, ${formatVersion} expected; use the version that wrote it`;
      throw new BackupError('backup-mismatch', message, { details: { path, found, expected: formatVersion } });
    },
  });
  if (!isIdentity(members) || !isManifest(members))
    throw backupDamaged(path, 'members are missing or have another type');
  const { archive, shard, instance, engine, created } = members;
  const { checkpoint, checkpointSavedAtMs, initialTableSize, completed, topology, sections } = members;
  return {
    identity: { archive, shard, instance, engine, created },
    checkpoint: decodeCheckpoint(Buffer.from(checkpoint, 'hex')),
    ...{ checkpointSavedAtMs, initialTableSize, completed, topology, sections },
  };
}

interface ManifestMembers
  extends Pick<BackupManifest, 'checkpointSavedAtMs' | 'initialTableSize' | 'completed' | 'topology' | 'sections'> {
  readonly checkpoint: string;
}

function isManifest(value: DocumentMembers): value is DocumentMembers & ManifestMembers {
  return (
    typeof value.checkpoint === 'string' &&
    typeof value.checkpointSavedAtMs === 'number' &&
    typeof value.initialTableSize === 'number' &&
    typeof value.completed === 'string' &&
    (value.topology === undefined || isTopology(value.topology)) &&
    Array.isArray(value.sections) &&
    value.sections.every((copy: unknown, index) => isCopy(copy) && copy.section === index)
  );
}

function isCopy(value: unknown): value is SectionCopy {
  return hasCounts(value, ['section', 'keyBytes', 'valueBytes', 'keyChecksum', 'valueChecksum']);
}

function isTopology(value: unknown): value is BackedUpTopology {
  return Array.isArray(value) && value.length > 0 && value.every((entry) => hasCounts(entry, ['shards', 'time']));
}

function hasCounts(value: unknown, fields: readonly string[]): boolean {
  if (!isObject(value)) return false;
  return fields.every((field) => Number.isSafeInteger(value[field]) && Number(value[field]) >= 0);
}
