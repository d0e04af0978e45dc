/**
 * Whether a backup can go on where it ended: the shard must still be the one that it is a copy of.
 *
 * The instance id says whose volume it is, but a volume that was rolled back to an older snapshot keeps it, and writes
 * something else from there on. Records are only ever appended, so two histories that agree in their record at some place
 * agree in all before it: the last record of the backup, with its value, which has time and put id in it, is compared
 * byte for byte with the shard's record at the same place.
 */
import { headerSize } from '../blob/header.ts';
import type { Disk } from '../disk/disk.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { type JournalFiles, placeOfValue, withBlob } from '../journal/journal-files.ts';
import { readPayload } from '../journal/page-stream.ts';
import { BackupError } from './backup-error.ts';
import type { BackupManifest, SectionCopy } from './backup-manifest.ts';
import { sectionFiles } from './engine-settings.ts';
import type { Identity } from './identity.ts';

/** A shard up to one of its checkpoints. */
export interface History {
  readonly identity: Identity;
  /** How each section ends: the sealed ones, and the growing one at the checkpoint. */
  readonly ends: readonly JournalEnd[];
}

/** Passes a backup whose records the shard begins with; anything else is `backup-mismatch`. */
export async function requireSameHistory(
  { identity, ends }: History,
  files: JournalFiles,
  backup: Disk,
  manifest: BackupManifest,
): Promise<void> {
  const { instance, archive, shard } = manifest.identity;
  if (instance !== identity.instance) {
    throw mismatch(
      `the directory holds a backup of instance ${instance} (${archive}, shard ${shard}), not of ${identity.instance}`,
    );
  }
  for (const copy of manifest.sections) {
    const end = ends[copy.section];
    const isLast = copy.section === manifest.sections.length - 1;
    if (end === undefined || end.keyBytes < copy.keyBytes || end.valueBytes < copy.valueBytes)
      throw mismatch(`the backup goes on behind the shard's checkpoint: it has more of section ${copy.section}`);
    if (!isLast && (end.keyBytes !== copy.keyBytes || end.valueBytes !== copy.valueBytes))
      throw otherHistory(sectionFiles(copy.section).keys);
  }
  const last = manifest.sections.at(-1);
  // Without its files it is copied anew, and its checksums are compared then.
  if (last !== undefined && (await hasAllOf(backup, last))) await compareLastRecord(files, backup, last);
}

/** Whether both files of a copy are as long as they must be. */
export async function hasAllOf(backup: Disk, copy: SectionCopy): Promise<boolean> {
  const { keys, values } = sectionFiles(copy.section);
  const keySize = (await backup.stat(keys))?.size ?? 0;
  const valueSize = (await backup.stat(values))?.size ?? 0;
  return keySize >= copy.keyBytes && valueSize >= copy.valueBytes;
}

export function otherHistory(file: string): BackupError {
  return mismatch(`${file} of the backup is of another history of this shard: its volume was rolled back since`);
}

async function compareLastRecord(files: JournalFiles, backup: Disk, copy: SectionCopy): Promise<void> {
  const { section, keyBytes, valueBytes } = copy;
  const paths = sectionFiles(section);
  const { size } = files.layout;
  const record = await withBlob(files.keys, section, (blob) =>
    readPayload(blob, files.pageSize, keyBytes - size, size),
  );
  if (!record.equals(await readRange(backup, paths.keys, keyBytes - size, size))) throw otherHistory(paths.keys);
  const value = placeOfValue(files, { section, position: keyBytes / size - 1 }, record, 0);
  if (value.offset + value.size !== valueBytes) throw otherHistory(paths.values);
  const ofShard = await readRange(files.disk, paths.values, headerSize + value.offset, value.size);
  if (!ofShard.equals(await readRange(backup, paths.values, value.offset, value.size)))
    throw otherHistory(paths.values);
}

async function readRange(disk: Disk, path: string, offset: number, size: number): Promise<Buffer> {
  const file = await disk.open(path, { create: false });
  try {
    const bytes = Buffer.allocUnsafe(size);
    await file.read(offset, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}

function mismatch(finding: string): BackupError {
  const advice = 'nothing was changed; back up into another directory';
  return new BackupError('backup-mismatch', `${finding}; ${advice}`);
}
