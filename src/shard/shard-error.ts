import { PermafrostError } from '../base/errors.ts';

/**
 * - `owned`, `lock-failed`: the directory belongs to another process, or its lock cannot be taken at all.
 * - `identity-mismatch`, `volume-rolled-back`, `volume-empty`, `volume-foreign`: start-up found a volume that it cannot
 *   explain. `checkpoint-missing`, `damaged`: files of the shard are lost or not what was written.
 *   `version-unknown`: written by a newer version. None of these changed a byte.
 * - `limit-exceeded`, `invalid-request`: the request cannot be stored as it is. `key-exists`: a put with `reject` met a
 *   key that is there. `corrupt-chain`: a put had to read versions of its key and met bytes that are not what was written.
 * - `overloaded`: too much is waiting already. `closing`: the shard is being stopped. `failed`: the shard cannot go on
 *   and only answers lookups.
 */
export type ShardErrorCode =
  | 'owned'
  | 'lock-failed'
  | 'identity-mismatch'
  | 'volume-rolled-back'
  | 'volume-empty'
  | 'volume-foreign'
  | 'checkpoint-missing'
  | 'damaged'
  | 'version-unknown'
  | 'invalid-settings'
  | 'limit-exceeded'
  | 'invalid-request'
  | 'key-exists'
  | 'corrupt-chain'
  | 'overloaded'
  | 'closing'
  | 'failed';

export class ShardError extends PermafrostError<ShardErrorCode> {
  override readonly name = 'ShardError';
}

/** What every refusal of a damaged file ends with. */
export const salvageAdvice =
  'nothing was changed; restore the volume from a backup, or copy what is readable with `permafrost salvage`';

/** Bytes of one of the shard's own files that are not what was written. */
export function damaged(path: string, finding: string, cause?: unknown): ShardError {
  return new ShardError('damaged', `${path}: ${finding}; ${salvageAdvice}`, { details: { path }, cause });
}
