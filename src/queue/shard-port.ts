import type { Shard } from '../shard/shard.ts';

/** What the queue needs of a shard. */
export type ShardPort = Pick<Shard, 'put' | 'lookupMany'>;
