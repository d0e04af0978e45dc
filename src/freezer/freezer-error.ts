import { PermafrostError } from '../base/errors.ts';

/**
 * - `invalid-settings`, `invalid-key`, `invalid-value`, `invalid-cursor`: the caller's mistake; nothing happened.
 * - `not-empty`: create was asked for where data is. `checkpoint-mismatch`: the checkpoint is not this store's.
 * - `corruption`: bytes on disk are not what was written. `sync-required`: too many changed buckets in memory.
 * - `poisoned`: an earlier mutation failed; only committed records are still answered. `closed`: used after close.
 */
export type FreezerErrorCode =
  | 'invalid-settings'
  | 'invalid-key'
  | 'invalid-value'
  | 'invalid-cursor'
  | 'not-empty'
  | 'checkpoint-mismatch'
  | 'corruption'
  | 'sync-required'
  | 'poisoned'
  | 'closed';

export class FreezerError extends PermafrostError<FreezerErrorCode> {
  override readonly name = 'FreezerError';
}
