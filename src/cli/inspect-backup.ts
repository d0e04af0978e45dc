import type { Disk } from '../disk/disk.ts';
import { recordSize } from '../freezer/key-record.ts';
import { BackupError } from '../shard/backup-error.ts';
import { type BackupManifest, unfinishedBackupFile } from '../shard/backup-manifest.ts';
import { archiveKeySize, partitions } from '../shard/engine-settings.ts';
import { isLockFile } from '../shard/owner-lock.ts';
import { countText, sizeText } from './amounts.ts';
import { generationsText } from './topology-beside.ts';

interface BackupAmounts {
  readonly recordCount: number;
  readonly bytes: number;
}

function amountsOf({ sections }: BackupManifest): BackupAmounts {
  const keyBytes = sections.reduce((sum, section) => sum + section.keyBytes, 0);
  const valueBytes = sections.reduce((sum, section) => sum + section.valueBytes, 0);
  return { recordCount: keyBytes / recordSize(archiveKeySize), bytes: keyBytes + valueBytes };
}

/** Refuses what a first backup that has not ended leaves: it looks like a shard that has lost most of its files. */
export async function refuseUnfinishedBackup(directory: string, disk: Disk): Promise<void> {
  const ofBackups: readonly string[] = [partitions.keyPartition, partitions.valuePartition, unfinishedBackupFile];
  const names = (await disk.list('')) ?? [];
  if (!names.every((name) => ofBackups.includes(name) || isLockFile(name))) return;
  const finding = `${directory} holds no complete backup, and no shard: a backup into it has not ended yet`;
  throw new BackupError('backup-incomplete', finding, { details: { directory } });
}

/** What a complete backup says of itself, for machines. */
export function backupDocument(directory: string, manifest: BackupManifest): object {
  return { directory, backup: { ...manifest, ...amountsOf(manifest) } };
}

/** The same for people. */
export function backupPage(directory: string, manifest: BackupManifest): string {
  const { identity, checkpoint, checkpointSavedAtMs, completed, topology, sections } = manifest;
  const { recordCount, bytes } = amountsOf(manifest);
  const rows: readonly (readonly [string, string])[] = [
    ['Backup', `${directory}: of archive "${identity.archive}", shard ${identity.shard}, completed ${completed}`],
    ['Instance', `${identity.instance}, created ${identity.created}`],
    ['Checkpoint', `epoch ${checkpoint.epoch} of ${new Date(checkpointSavedAtMs).toISOString()}`],
    ...(topology === undefined ? [] : [['Topology', `${generationsText(topology)} shards`] as const]),
    ['Records', `${countText(recordCount)} in ${countText(sections.length)} sections, ${sizeText(bytes)}`],
  ];
  return rows.map(([what, text]) => `${what.padEnd(11)}${text}\n`).join('');
}
