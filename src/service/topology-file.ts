/**
 * The copy of an archive's topology that lies beside its shards, on their volume. It is replaced as a whole; a crash leaves
 * the one before.
 */
import { randomUUID } from 'node:crypto';
import type { Disk } from '../disk/disk.ts';
import { encodeTopology, parseTopology, type Topology } from '../protocol/topology.ts';
import { readWhole, replaceFile, unfinishedEnding } from '../shard/replace-file.ts';

/** Its name in the directory that holds those of the shards. */
export const topologyFile = 'topology.json';

/** A name for it while it is being written: the directory may be that of several processes. */
export function unfinishedTopologyFile(): string {
  return `${topologyFile}.${randomUUID().slice(0, 8)}${unfinishedEnding}`;
}

/** `undefined` when there is no copy. Errors: ProtocolError for one that is no topology. */
export async function readTopologyFile(dataDir: Disk): Promise<Topology | undefined> {
  const bytes = await readWhole(dataDir, topologyFile);
  return bytes === undefined ? undefined : parseTopology(bytes.toString());
}

/** Durable on return. */
export function writeTopologyFile(
  dataDir: Disk,
  topology: Topology,
  unfinished = unfinishedTopologyFile(),
): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(encodeTopology(topology))}\n`);
  return replaceFile(dataDir, topologyFile, bytes, unfinished);
}
