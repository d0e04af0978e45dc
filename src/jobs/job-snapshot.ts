import type { FinishedState } from './queue-address.ts';

/** A finished job as it lay in Redis at one moment, byte for byte. */
export interface JobSnapshot {
  readonly id: string;
  readonly state: FinishedState;
  /** When it finished, by the set that it is in: milliseconds since the Unix epoch. */
  readonly finishedOn: number;
  /** The same as Redis writes it. */
  readonly score: string;
  /** Digest of all that is below. The job is removed only while it has the same one. */
  readonly digest: string;
  /** Fields of its hash. */
  readonly fields: readonly Pair[];
  readonly logs: readonly Buffer[];
  /** What its children left with it, if it is the parent of a flow, by their keys in Redis. */
  readonly processedChildren: readonly Pair[];
  readonly failedChildren: readonly Pair[];
  readonly unsuccessfulChildren: readonly Buffer[];
}

export type Pair = readonly [name: Buffer, value: Buffer];

/**
 * Why a finished job stays in Redis.
 *
 * - `gone`: it is not finished any more, or was removed. `changed`: it is not what was archived.
 * - `locked`: a worker holds it. `flow`: a parent has yet to finish, or a child of its own has.
 * - `scheduled`: its job scheduler still counts on it. `too-large`: larger than the archiver takes.
 * - `refused`: the archive does not take it. `unconfirmed`: the archive did not give it back.
 */
export const stayReasons = [
  'gone',
  'changed',
  'locked',
  'flow',
  'scheduled',
  'too-large',
  'refused',
  'unconfirmed',
] as const;
export type StayReason = (typeof stayReasons)[number];
