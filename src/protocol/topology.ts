/**
 * How many shards an archive has had, from its first day on: the newest generation says where a key is put, all of them
 * together where it may be.
 *
 * Invariants: generations are only ever appended. So the homes of a key only ever grow, and who knows an older topology
 * puts to a shard that everybody else asks, too. Records never move.
 */
import { protocolVersion, readArray, readCount, readMessage, readObject, refused } from './fields.ts';
import { shardCountMax } from './names.ts';
import { ProtocolError } from './protocol-error.ts';
import { shardOf } from './record-key.ts';

/** A number of shards, and since when records are put to so many. */
export interface Generation {
  /** Shards 0 to one less than this. */
  readonly shards: number;
  /** In milliseconds since the Unix epoch; for people. */
  readonly time: number;
}

export interface Topology {
  /** Oldest first; at least one. */
  readonly generations: readonly Generation[];
}

export interface TopologyWire {
  readonly v: 1;
  readonly generations: readonly Generation[];
}

/** An archive has no more generations than this: each may add a home to every key. */
export const generationCountMax = 64;

/** What an archive without a topology has: one shard. */
export const oneShard: Topology = { generations: [{ shards: 1, time: 0 }] };

/** Shards that records are put to now. */
export function shardCountOf(topology: Topology): number {
  return topology.generations.at(-1)?.shards ?? 1;
}

/** One more than the highest shard that records may be on. */
export function knownShardCountOf(topology: Topology): number {
  return Math.max(...topology.generations.map(({ shards }) => shards));
}

/** The shards that a record with this stored key may be on, each once; the one it is put to now comes first. */
export function homesOf(topology: Topology, storedKey: Uint8Array): readonly number[] {
  const homes = new Set<number>();
  for (const { shards } of topology.generations.toReversed()) homes.add(shardOf(storedKey, shards));
  return [...homes];
}

/** The topology and one generation more. Errors: ProtocolError `invalid-field`, `limit-exceeded`. */
export function withGeneration(topology: Topology, generation: Generation): Topology {
  return decodeTopology({ v: protocolVersion, generations: [...topology.generations, generation] });
}

/** Whether `longer` is `topology`, or continues it. */
export function continues(longer: Topology, topology: Topology): boolean {
  return topology.generations.every((generation, index) => isSame(generation, longer.generations[index]));
}

/**
 * What holds when two are told: the longer one if it continues the other. Two that differ (Redis has forgotten and begun
 * anew) are put behind each other, so that no home of either is lost; `ours` is the newest then.
 */
export function joined(ours: Topology, theirs: Topology): Topology {
  if (continues(ours, theirs)) return ours;
  if (continues(theirs, ours)) return theirs;
  const difference = ours.generations.findIndex((generation, index) => !isSame(generation, theirs.generations[index]));
  return { generations: [...theirs.generations, ...ours.generations.slice(difference)] };
}

export function encodeTopology({ generations }: Topology): TopologyWire {
  return { v: protocolVersion, generations: generations.map(({ shards, time }) => ({ shards, time })) };
}

/** The topology in a parsed message. Errors: ProtocolError. */
export function decodeTopology(value: unknown): Topology {
  const generations = readArray(readMessage(value), 'generations', '').map(decodeGeneration);
  if (generations.length === 0) throw refused('invalid-field', 'generations', 'empty');
  if (generations.length <= generationCountMax) return { generations };
  const found = generations.length;
  throw new ProtocolError(
    'limit-exceeded',
    `generations: found ${found}, there are ${generationCountMax} of them at most`,
    { details: { field: 'generations', max: generationCountMax, found } },
  );
}

/** The topology in the text that Redis holds. Errors: ProtocolError. */
export function parseTopology(text: string): Topology {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError('malformed-json', 'topology: not JSON', { details: { field: 'topology' }, cause: error });
  }
  return decodeTopology(value);
}

function decodeGeneration(value: unknown, index: number): Generation {
  const path = `generations[${index}]`;
  const generation = readObject(value, path);
  const shards = readCount(generation, 'shards', path);
  if (shards < 1 || shards > shardCountMax) {
    throw refused('invalid-field', `${path}.shards`, `not a number from 1 to ${shardCountMax}`);
  }
  return { shards, time: readCount(generation, 'time', path) };
}

function isSame(left: Generation, right: Generation | undefined): boolean {
  return left.shards === right?.shards;
}
