import { recordSize } from '../freezer/key-record.ts';
import type { BackupManifest } from '../shard/backup-manifest.ts';
import { archiveKeySize } from '../shard/engine-settings.ts';
import { countText, sizeText } from './amounts.ts';

interface BackupAmounts {
  readonly recordCount: number;
  readonly bytes: number;
}

function amountsOf({ sections }: BackupManifest): BackupAmounts {
  const keyBytes = sections.reduce((sum, section) => sum + section.keyBytes, 0);
  const valueBytes = sections.reduce((sum, section) => sum + section.valueBytes, 0);
  return { recordCount: keyBytes / recordSize(archiveKeySize), bytes: keyBytes + valueBytes };
}

/** What a complete backup says of itself, for machines. */
export function backupDocument(directory: string, manifest: BackupManifest): object {
  return { directory, backup: { ...manifest, ...amountsOf(manifest) } };
}

/** The same for people. */
export function backupPage(directory: string, manifest: BackupManifest): string {
  const { identity, checkpoint, checkpointSavedAtMs, completed, sections } = manifest;
  const { recordCount, bytes } = amountsOf(manifest);
  const rows: readonly (readonly [string, string])[] = [
    ['Backup', `${directory}: of archive "${identity.archive}", shard ${identity.shard}, completed ${completed}`],
    ['Instance', `${identity.instance}, created ${identity.created}`],
    ['Checkpoint', `epoch ${checkpoint.epoch} of ${new Date(checkpointSavedAtMs).toISOString()}`],
    ['Records', `${countText(recordCount)} in ${countText(sections.length)} sections, ${sizeText(bytes)}`],
  ];
  return rows.map(([what, text]) => `${what.padEnd(11)}${text}\n`).join('');
}
