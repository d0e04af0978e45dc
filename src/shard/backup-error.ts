import { PermafrostError } from '../base/errors.ts';

/**
 * - `nothing-to-back-up`: there is no shard that was ever used in the directory.
 * - `backup-mismatch`: the backup directory holds the backup of another shard, or of another history of this one; or
 *   something else. Nothing was changed.
 * - `backup-incomplete`: there is no complete backup to restore. `backup-damaged`: it is not what was written.
 * - `target-in-use`: the directory to restore to is not empty.
 */
export type BackupErrorCode =
  | 'nothing-to-back-up'
  | 'backup-mismatch'
  | 'backup-incomplete'
  | 'backup-damaged'
  | 'target-in-use';

export class BackupError extends PermafrostError<BackupErrorCode> {
  override readonly name = 'BackupError';
}

/** Bytes of a backup that are not what was written. */
export function backupDamaged(path: string, finding: string, cause?: unknown): BackupError {
  const advice =
    'restore another backup; while its shard is well, remove the file and back up again, which copies it anew';
  return new BackupError('backup-damaged', `${path}: ${finding}; ${advice}`, { details: { path }, cause });
}
