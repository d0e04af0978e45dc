import { join } from 'node:path';
import { parseArchiveName } from '../protocol/names.ts';
import { type ShardSettings, shardDefaults } from '../shard/settings.ts';
import type { Config } from './config-schema.ts';
import { parseShardList } from './shard-list.ts';

/** The shards that a worker with these settings owns, in the order of their numbers. */
export function ownShards({ shard, shards }: Pick<Config, 'shard' | 'shards'>): readonly number[] {
  return parseShardList(shards) ?? [shard];
}

/** The same in one text, as in `0-3`. */
export function shownShards({ shard, shards }: Pick<Config, 'shard' | 'shards'>): string {
  return shards === '' ? String(shard) : shards;
}

/** Where a shard lives. */
export function shardDirectory(config: Pick<Config, 'dataDir' | 'shard'>): string {
  return join(config.dataDir, `shard-${String(config.shard).padStart(4, '0')}`);
}

/**
 * The shard's own settings. A commit starts at once when half of the puts that can be in hand wait for it: while the disk
 * is busy with one half, Redis is with the other.
 */
export function shardSettings(config: Config): ShardSettings {
  const { compressionLevel, ...engine } = config.engine;
  return {
    ...shardDefaults,
    archive: parseArchiveName(config.archive),
    shard: config.shard,
    engine: { ...engine, compression: compressionLevel === 0 ? undefined : compressionLevel },
    commitDelayMs: config.commit.delayMs,
    commitBytesMax: config.commit.bytesMax,
    commitRecordsMax: config.commit.recordsMax,
    commitPutsMax: Math.ceil(config.put.concurrency / 2),
    syncIntervalMs: config.sync.intervalMs,
    trustVolume: config.trustVolume,
  };
}
