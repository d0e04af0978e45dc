/**
 * What the crash lab is made of: experiments, each a fault with the promise that must hold under it.
 *
 * An experiment does its work in rounds. A round draws all its chances from its seed, works in an empty directory of
 * its own, leaves nothing behind, and takes a few seconds at most, so that a short run of the lab gets to every
 * experiment. It throws at the first violation of its promise; what it throws says what was found and expected.
 */

export const families = ['simulated', 'process', 'redis', 'surgery', 'payload'] as const;
export type Family = (typeof families)[number];

/** What was done, added up over rounds. */
export interface Work {
  /** Faults that were brought about and judged. */
  readonly cases: number;
  /** Simulated moments at which the machine went down, at all depths. */
  readonly crashPoints: number;
  /** Simulated disks that were opened and checked. */
  readonly diskStates: number;
  /** Puts, lookups and payloads that were judged. */
  readonly operations: number;
}

export interface Round {
  readonly seed: number;
  /** The way to a single state of a simulated round, as a violation names it; all states without it. */
  readonly path?: string;
  /** Empty, exists, and is removed after the round. */
  readonly directory: string;
  /** The lab is being stopped: end soon and clean up; what was judged until then counts. */
  readonly signal: AbortSignal;
}

export interface Experiment {
  /** Small words with dashes; `--fault <name>` runs this one alone. */
  readonly name: string;
  readonly family: Family;
  /** The rows of docs/RELIABILITY.md that it stands for. */
  readonly rows: readonly number[];
  /** What must hold, in a sentence. */
  readonly promise: string;
  /** The least that one whole round does: less is a failure of the lab. */
  readonly leastWork: Partial<Work>;
  /** Why it cannot run on this machine; undefined when it can. */
  readonly unavailable?: () => Promise<string | undefined>;
  readonly run: (round: Round) => Promise<Work>;
}

/** A broken promise, with the way to the simulated state where it was found. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly path: string | undefined;

  constructor(message: string, options: { readonly path?: string; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.path = options.path;
  }
}
