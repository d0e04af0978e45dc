/**
 * Whether each mutant is killed: its test passes without it and fails with it.
 *
 * Lanes work side by side, each in a copy of the tree of its own. A killing test runs once without any mutant, however
 * many mutants it kills.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Killer, Mutant } from './mutant.ts';
import { runTest, type TestOutcome } from './test-run.ts';
import { TreeCopy } from './tree-copy.ts';

/**
 * - `killed`: by a test that failed, or by one that did not end. `survived`: its test passed.
 * - `stale`: its text is not in the source exactly once. `unproven`: its test does not pass, or does not exist, without
 *   it. `unloadable`: the tests could not be run with it, so they say nothing.
 */
export type Fate =
  | { readonly kind: 'killed'; readonly by: 'failure' | 'timeout'; readonly test: string }
  | { readonly kind: 'survived' | 'stale' | 'unproven' | 'unloadable' };

export interface Proof {
  readonly mutant: Mutant;
  readonly fate: Fate;
  /** Of the run with the mutant. */
  readonly seconds: number;
}

export interface ProofPlace {
  /** The tree, which is only read. */
  readonly root: string;
  /** An empty directory for the copies. */
  readonly directory: string;
}

export interface ProofOptions {
  /** Mutants that are tried side by side. */
  readonly jobs: number;
  /** A test gets this time, or `limitFactor` times as long as it took without the mutant. */
  readonly limitMinMs: number;
  readonly signal: AbortSignal;
  readonly onProof: (proof: Proof) => void;
}

const limitFactor = 5;
/** For a test that is run for the first time. */
const firstLimitMs = 120_000;

interface Baseline {
  readonly outcome: TestOutcome;
  readonly ms: number;
}

/** One proof a mutant, in the order of the mutants. */
export async function proveAll(
  mutants: readonly Mutant[],
  place: ProofPlace,
  options: ProofOptions,
): Promise<readonly Proof[]> {
  const proofs = new Map<Mutant, Proof>();
  const baselines = new Map<string, Promise<Baseline>>();
  const waiting = [...mutants];
  const lane = async (index: number): Promise<void> => {
    const directory = join(place.directory, `lane-${index}`);
    await mkdir(directory);
    const copy = await TreeCopy.make(place.root, directory);
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const proof = await prove(mutant, copy, baselines, options);
      proofs.set(mutant, proof);
      options.onProof(proof);
    }
  };
  const lanes = Array.from({ length: Math.min(options.jobs, mutants.length) }, (_, index) => lane(index));
  const outcomes = await Promise.allSettled(lanes);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return mutants.flatMap((mutant) => proofs.get(mutant) ?? []);
}

async function prove(
  mutant: Mutant,
  copy: TreeCopy,
  baselines: Map<string, Promise<Baseline>>,
  options: ProofOptions,
): Promise<Proof> {
  const { killer } = mutant;
  const name = `${killer.file}\n${killer.test}`;
  const begun = baselines.get(name) ?? runBaseline(killer, copy, options.signal);
  baselines.set(name, begun);
  const baseline = await begun;
  if (baseline.outcome.kind !== 'passed') return { mutant, fate: { kind: 'unproven' }, seconds: 0 };
  const limitMs = Math.max(options.limitMinMs, Math.ceil(baseline.ms * limitFactor));
  const startedMs = performance.now();
  const outcome = await copy.withFault(mutant, () => runTest(copy, killer, { limitMs, signal: options.signal }));
  return { mutant, fate: fateOf(outcome, killer), seconds: (performance.now() - startedMs) / 1000 };
}

async function runBaseline(killer: Killer, copy: TreeCopy, signal: AbortSignal): Promise<Baseline> {
  const startedMs = performance.now();
  const outcome = await runTest(copy, killer, { limitMs: firstLimitMs, signal });
  return { outcome, ms: performance.now() - startedMs };
}

function fateOf(outcome: TestOutcome | undefined, killer: Killer): Fate {
  switch (outcome?.kind) {
    case undefined:
      return { kind: 'stale' };
    case 'failed':
      return { kind: 'killed', by: 'failure', test: outcome.test };
    case 'timeout':
      return { kind: 'killed', by: 'timeout', test: killer.test };
    case 'passed':
      return { kind: 'survived' };
    case 'not-run':
      return { kind: 'unloadable' };
  }
}
