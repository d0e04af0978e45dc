import { decodeCheckpointNotice } from '../protocol/checkpoint-notice.ts';
import { type ArchiveName, checkpointKey, leaseKey, putQueueName, queuePrefix } from '../protocol/names.ts';
import { knownShardCountOf, oneShard, shardCountOf, type Topology } from '../protocol/topology.ts';
import type { RedisConnection } from './connection.ts';
import { readJobCounts } from './job-counts.ts';
import { readTopology, type StoredTopology } from './topology-store.ts';

/** What Redis knows of a shard. */
export interface ShardSurvey {
  readonly shard: number;
  /** Whether records are put to it now; the others are only looked up. */
  readonly takesPuts: boolean;
  /** Whether a worker has renewed its lease of late. */
  readonly isLive: boolean;
  /** Of its newest published checkpoint, if there is one. */
  readonly epoch: number | undefined;
  readonly records: number | undefined;
  readonly waitingPuts: number;
}

/** An archive's topology, and each shard that may hold records of it, by number. */
export interface ArchiveSurvey {
  /** `undefined` when nobody has written it yet: the archive has one shard. */
  readonly stored: StoredTopology | undefined;
  readonly topology: Topology;
  readonly shards: readonly ShardSurvey[];
}

/** Looks at the archive. Errors: ProtocolError for what cannot be read. */
export async function surveyArchive(redis: RedisConnection, archive: ArchiveName): Promise<ArchiveSurvey> {
  const stored = await readTopology(redis, archive);
  const topology = stored?.topology ?? oneShard;
  const numbers = Array.from({ length: knownShardCountOf(topology) }, (_, shard) => shard);
  const shards = await Promise.all(
    numbers.map(async (shard) => {
      const takesPuts = shard < shardCountOf(topology);
      return { shard, takesPuts, ...(await surveyShard(redis, archive, shard)) };
    }),
  );
  return { stored, topology, shards };
}

/** Those of the shards that have no live worker: what is put to them waits. */
export async function withoutWorker(
  redis: RedisConnection,
  archive: ArchiveName,
  shards: readonly number[],
): Promise<readonly number[]> {
  const live = await Promise.all(shards.map((shard) => redis.exists(leaseKey(archive, shard))));
  return shards.filter((_, index) => live[index] !== 1);
}

/**
 * Whether nothing was ever put to the archive, as far as this Redis can tell. Then it may begin with any number of
 * shards; a client that connects meanwhile writes the topology first, and the attempt to begin it fails.
 */
export async function isUnused(
  redis: RedisConnection,
  archive: ArchiveName,
  stored: StoredTopology | undefined,
): Promise<boolean> {
  if (stored !== undefined) return false;
  const { records } = await surveyShard(redis, archive, 0);
  return (records ?? 0) === 0 && (await redis.exists(`${queuePrefix}:${putQueueName(archive, 0)}:id`)) === 0;
}

async function surveyShard(
  redis: RedisConnection,
  archive: ArchiveName,
  shard: number,
): Promise<Omit<ShardSurvey, 'shard' | 'takesPuts'>> {
  const [lease, fields, counts] = await Promise.all([
    redis.exists(leaseKey(archive, shard)),
    redis.hgetall(checkpointKey(archive, shard)),
    readJobCounts(redis, putQueueName(archive, shard)),
  ]);
  const notice = decodeCheckpointNotice(fields);
  const waitingPuts = counts.find(({ state }) => state === 'waiting')?.count ?? 0;
  return { isLive: lease === 1, epoch: notice?.epoch, records: notice?.records, waitingPuts };
}
