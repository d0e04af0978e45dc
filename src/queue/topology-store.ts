import { type ArchiveName, topologyKey } from '../protocol/names.ts';
import { encodeTopology, parseTopology, type Topology } from '../protocol/topology.ts';
import type { RedisConnection } from './connection.ts';

/** A topology and the text that Redis holds of it: who replaces it proves by that text that he has seen it. */
export interface StoredTopology {
  readonly topology: Topology;
  readonly text: string;
}

/** Key: topology. Arguments: the text that must be there (empty: none), the text that replaces it. */
const replaceScript = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

/** The archive's topology in Redis; `undefined` if there is none. Errors: ProtocolError for one that cannot be read. */
export async function readTopology(redis: RedisConnection, archive: ArchiveName): Promise<StoredTopology | undefined> {
  const text = await redis.get(topologyKey(archive));
  return text === null ? undefined : { topology: parseTopology(text), text };
}

/** Puts the topology in the place of the one that was seen. Resolves to whether that one was there still. */
export async function replaceTopology(
  redis: RedisConnection,
  archive: ArchiveName,
  seen: StoredTopology | undefined,
  topology: Topology,
): Promise<boolean> {
  const text = JSON.stringify(encodeTopology(topology));
  return (await redis.eval(replaceScript, 1, topologyKey(archive), seen?.text ?? '', text)) === 1;
}
