/**
 * The start-up table: what the volume holds against what Redis published, and what follows from it.
 *
 * Redis is never needed to recover, and a stale copy there never truncates newer data on disk. What cannot be explained
 * is refused before a byte is changed; `--trust-volume` goes by the volume where only Redis objects.
 */
import { ShardError, salvageAdvice } from './shard-error.ts';

/** What Redis says about the shard's newest checkpoint. */
export interface PublishedCheckpoint {
  readonly instance: string;
  readonly epoch: number;
}

/**
 * What the directory holds.
 *
 * - `empty`: nothing that a shard writes. `unfinished`: a creation that a crash interrupted, no put was ever admitted.
 * - `whole`: a checkpoint. `orphaned`: files of a shard, but no checkpoint or no identity.
 * - `half-salvaged`: the copy of a salvage that was interrupted.
 */
export type VolumeState =
  | { readonly kind: 'empty' }
  | { readonly kind: 'unfinished'; readonly instance: string }
  | { readonly kind: 'whole'; readonly instance: string; readonly epoch: number }
  | { readonly kind: 'half-salvaged' }
  | { readonly kind: 'orphaned'; readonly present: readonly string[]; readonly missing: string };

export type StartAction =
  | { readonly kind: 'create' }
  | { readonly kind: 'recreate'; readonly instance: string }
  | { readonly kind: 'open' };

export interface StartOptions {
  /** The volume is right and Redis is not: `--trust-volume`. */
  readonly trustVolume: boolean;
}

/** What to do, or the refusal as a ShardError. */
export function decideStart(
  volume: VolumeState,
  published: PublishedCheckpoint | undefined,
  options: StartOptions,
): StartAction {
  if (volume.kind === 'orphaned') throw orphaned(volume);
  if (volume.kind === 'half-salvaged') throw halfSalvaged();
  if (published !== undefined && !options.trustVolume) compare(volume, published);
  switch (volume.kind) {
    case 'empty':
      return { kind: 'create' };
    case 'unfinished':
      return { kind: 'recreate', instance: volume.instance };
    case 'whole':
      return { kind: 'open' };
  }
}

type Explained = Exclude<VolumeState, { readonly kind: 'orphaned' | 'half-salvaged' }>;

const trustAdvice =
  'nothing was changed; mount the right volume or restore a newer backup, or go on with this one with `--trust-volume`';

function compare(volume: Explained, published: PublishedCheckpoint): void {
  if (volume.kind === 'empty') throw emptyVolume(published);
  if (volume.instance !== published.instance) throw foreignVolume(volume.instance, published);
  const epoch = volume.kind === 'whole' ? volume.epoch : 0;
  if (published.epoch > epoch) throw rolledBack(epoch, published);
}

function emptyVolume(published: PublishedCheckpoint): ShardError {
  const message = `the volume is empty, Redis knows this shard at epoch ${published.epoch} (instance ${published.instance}): the volume is gone or the wrong one is mounted; ${trustAdvice}`;
  return new ShardError('volume-empty', message, {
    details: { found: 'empty', expectedEpoch: published.epoch, expectedInstance: published.instance },
  });
}

function foreignVolume(found: string, published: PublishedCheckpoint): ShardError {
  const message = `the volume is instance ${found}, Redis knows this shard as instance ${published.instance}: it is not this shard's volume; ${trustAdvice}`;
  return new ShardError('volume-foreign', message, {
    details: { foundInstance: found, expectedInstance: published.instance },
  });
}

function rolledBack(found: number, published: PublishedCheckpoint): ShardError {
  const message = `the volume is at epoch ${found}, Redis knows this shard at epoch ${published.epoch}: the volume was rolled back to an old backup or snapshot, and records may be missing; ${trustAdvice}`;
  return new ShardError('volume-rolled-back', message, {
    details: { foundEpoch: found, expectedEpoch: published.epoch },
  });
}

function halfSalvaged(): ShardError {
  return new ShardError(
    'checkpoint-missing',
    'the directory holds the copy of a salvage that was interrupted, of which any part may be missing; nothing was changed; remove it and run `permafrost salvage` again',
  );
}

function orphaned(volume: { readonly present: readonly string[]; readonly missing: string }): ShardError {
  const message = `the directory holds ${volume.present.join(', ')} but no ${volume.missing}; ${salvageAdvice}`;
  return new ShardError('checkpoint-missing', message, {
    details: { present: volume.present.join(', '), missing: volume.missing },
  });
}
