import { messageOf } from '../src/base/errors.ts';
import type { Experiment, Work } from './experiment.ts';
import { replayCommand } from './options.ts';
import type { RoundEnd } from './round-end.ts';
import { noWork, shortfallOf, sumOf } from './work.ts';

/** Violations, and shortfalls, that are kept of one experiment; after that many violations it gets no further rounds. */
const keptMax = 5;

export interface FoundViolation {
  readonly seed: number;
  readonly path: string | undefined;
  readonly message: string;
  /** The command that brings it about again. */
  readonly replay: string;
}

/** What one experiment did and found. */
export class Tally {
  readonly experiment: Experiment;
  /** Why it did not run; undefined when it could. */
  readonly skipped: string | undefined;
  readonly violations: FoundViolation[] = [];
  /** Where it did less than the lab promises, in words. */
  readonly shortfalls: string[] = [];
  work: Work = noWork;
  wholeRounds = 0;
  /** Rounds that were told to stop before their end. */
  interruptedRounds = 0;

  constructor(experiment: Experiment, skipped?: string) {
    this.experiment = experiment;
    this.skipped = skipped;
  }

  /** Whether it is to get another round. */
  get active(): boolean {
    return this.skipped === undefined && this.violations.length < keptMax;
  }

  /** Rounds that ended, in whatever way. */
  get rounds(): number {
    return this.wholeRounds + this.interruptedRounds + this.violations.length;
  }

  /** `askedPath`: the round was asked for one state only, and owes nothing but to get there. */
  add(seed: number, end: RoundEnd, askedPath?: string): void {
    if (end.kind === 'violation') {
      const { message, path } = end;
      this.violations.push({ seed, path, message, replay: replayCommand(this.experiment.name, seed, path) });
      return;
    }
    this.work = sumOf([this.work, end.work ?? noWork]);
    if (end.kind === 'interrupted') {
      this.interruptedRounds++;
      return;
    }
    this.wholeRounds++;
    if (askedPath === undefined) {
      const shortfall = shortfallOf(end.work, this.experiment.leastWork);
      if (shortfall !== undefined) this.fallsShort(`the round with seed ${seed} did ${shortfall}`);
    } else if (end.work.diskStates === 0 && end.work.operations === 0) {
      this.fallsShort(`the path '${askedPath}' leads to no state of the round with seed ${seed}: nothing was checked`);
    }
  }

  leftBehind(seed: number, error: unknown): void {
    this.fallsShort(`the round with seed ${seed} left a directory that cannot be removed: ${messageOf(error)}`);
  }

  fallsShort(how: string): void {
    if (this.shortfalls.length < keptMax) this.shortfalls.push(how);
  }
}
