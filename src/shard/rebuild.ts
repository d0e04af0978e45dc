/**
 * Makes the table of a shard anew from its key index, and leaves the shard closed cleanly.
 *
 * Nothing but the table is written before it is whole; then the shard is opened as a worker does, which looks through all
 * of it. A crash on the way leaves the old table or the new one, and a shard that opens with either.
 */
import { makeTable } from './new-table.ts';
import { openShardStore } from './open-shard.ts';
import type { OwnerLock } from './owner-lock.ts';
import type { ShardSettings } from './settings.ts';
import { recordCountOf } from './shard-checkpoint.ts';
import { ShardError, salvageAdvice } from './shard-error.ts';
import type { StoreDeps } from './store.ts';
import { readVolume } from './volume.ts';

export interface RebuildDeps extends Omit<StoreDeps, 'engine'> {
  readonly lock: OwnerLock;
}

export interface RebuildReport {
  readonly instance: string;
  readonly epoch: number;
  readonly recordCount: number;
  /** Buckets of the table. */
  readonly tableSize: number;
}

/** Damage of the key index is `corruption`: the old table stays. A directory without a whole shard is refused. */
export async function rebuildShard(deps: RebuildDeps, settings: ShardSettings): Promise<RebuildReport> {
  const { kind } = await readVolume(deps.disk);
  if (kind !== 'whole') {
    throw new ShardError('checkpoint-missing', `there is no whole shard in the directory (${kind}); ${salvageAdvice}`);
  }
  const held = await deps.lock.acquire();
  try {
    await makeTable(deps.disk, settings.engine, deps.progress === undefined ? {} : { progress: deps.progress });
    const store = await openShardStore({ ...deps, engine: settings.engine }, settings, undefined);
    try {
      const saved = await store.sync({ clean: true });
      const { epoch, tableSize } = saved.checkpoint;
      return { instance: saved.instance, epoch, tableSize, recordCount: recordCountOf(saved, store.sealed) };
    } finally {
      await store.release();
    }
  } finally {
    held.release();
  }
}
