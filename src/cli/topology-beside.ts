/**
 * The copy of an archive's topology beside the directory of a shard, for `backup` and `restore`.
 *
 * A restored shard alone would be one of a single shard to a Redis that has forgotten the archive, and what was put to the
 * others `missing`. So a backup of any shard knows the topology, and a restore into a data directory puts it there.
 */
import { basename, dirname, resolve } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { continues, decodeTopology, joined, type Topology } from '../protocol/topology.ts';
import { shardDirectory } from '../service/shard-config.ts';
import { readTopologyFile, topologyFile, writeTopologyFile } from '../service/topology-file.ts';
import type { BackedUpTopology } from '../shard/backup-manifest.ts';

/** What lies beside a shard, or why it cannot be told. */
export type TopologyBeside = Topology | { readonly unreadable: string } | undefined;

export async function topologyBeside(directory: string): Promise<TopologyBeside> {
  const dataDir = new NodeDisk(dirname(resolve(directory)));
  try {
    return await readTopologyFile(dataDir);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { unreadable: `${topologyFile} beside the shard is no topology: ${messageOf(error)}` };
  }
}

/** What became of a backup's topology. */
export type PlacedTopology =
  | { readonly kind: 'unknown' }
  /** It is in the data directory now, or was. */
  | { readonly kind: 'placed'; readonly path: string; readonly topology: Topology }
  /** It was not written. */
  | { readonly kind: 'left'; readonly reason: string };

/**
 * Adds what a backup knows to the copy beside the restored shard. Only in a directory that is called as a worker calls
 * that shard's: any other has no data directory above it.
 */
export async function placeTopology(
  known: BackedUpTopology | undefined,
  { directory, shard }: { readonly directory: string; readonly shard: number },
): Promise<PlacedTopology> {
  if (known === undefined) return { kind: 'unknown' };
  if (basename(resolve(directory)) !== shardName(shard))
    return { kind: 'left', reason: `${directory} lies in no data directory` };
  const topology = decodeTopology({ v: 1, generations: known });
  const beside = await topologyBeside(directory);
  if (beside !== undefined && 'unreadable' in beside) return { kind: 'left', reason: beside.unreadable };
  const all = beside === undefined ? topology : joined(beside, topology);
  const dataDir = dirname(resolve(directory));
  if (beside === undefined || !continues(beside, all)) await writeTopologyFile(new NodeDisk(dataDir), all);
  return { kind: 'placed', path: `${dataDir}/${topologyFile}`, topology: all };
}

/** The name that a worker gives the directory of a shard. */
export function shardName(shard: number): string {
  return basename(shardDirectory({ dataDir: '', shard }));
}

/** As in `1, then 4`. */
export function generationsText(generations: BackedUpTopology): string {
  return generations.map(({ shards }) => shards).join(', then ');
}
