/**
 * Fails the operations of a program one by one, and checks what is found afterwards.
 *
 * For each fault and each operation the workload runs anew on a disk of its own, and that one operation fails. The
 * workload may then reject, as a program does whose disk failed, but not with a broken assertion. Afterwards `verify`
 * opens the store as a killed process, a power loss without mercy, and random power losses leave it.
 */
import { AssertionError } from 'node:assert';
import { AssertionFailure } from '../../src/base/assert.ts';
import { messageOf } from '../../src/base/errors.ts';
import { CrashPointFailure, type Explored, isStopped, type Scenario, textOf } from './crash-points.ts';
import type { Fault, Issued, OperationFilter } from './gate.ts';
import { mixSeed } from './random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { Survival } from './survival.ts';

export interface FaultExploration<Event> {
  readonly workload: Scenario<Event>;
  readonly verify: Scenario<Event>;
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** The operations to strike, reads included; all but closes if not given. */
  readonly operationFilter?: OperationFilter;
  /** Fail every so many operations from the chosen one on; only the chosen one if not given. */
  readonly repeatEvery?: number;
  /** Random survivals of each run; 2 if not given. */
  readonly randomSurvivals?: number;
  readonly startDisk?: () => SimulatedDisk;
  /** The way to one failure, as a failed check names it: `fault@operation/survival`; all of them if not given. */
  readonly path?: string;
  /** Ends the exploration between two runs; what was explored until then counts. */
  readonly signal?: AbortSignal;
}

interface NamedSurvival {
  readonly name: string;
  readonly survival: Survival;
}

/** Throws a CrashPointFailure at the first state that does not verify; else says how many there were. */
export async function exploreFaults<Event>(exploration: FaultExploration<Event>): Promise<Explored> {
  const explored: Explored = { points: 0, states: 0 };
  const wanted = wantedFrom(exploration.path);
  for (const [index, fault] of exploration.faults.entries()) {
    if (wanted !== undefined && wanted.fault !== index) continue;
    const last = wanted?.number ?? Number.POSITIVE_INFINITY;
    for (let number = wanted?.number ?? 1; number <= last; number++) {
      if (await isStopped(exploration.signal)) return explored;
      if (!(await strike(exploration, { index, fault, number }, wanted?.survival, explored))) break;
    }
  }
  return explored;
}

interface Stroke {
  readonly index: number;
  readonly fault: Fault;
  /** Counted from 1 over the operations that the filter accepts. */
  readonly number: number;
}

function wantedFrom(path: string | undefined) {
  const [fault, number, survival = ''] = path?.split(/[@/]/) ?? [];
  return fault === undefined ? undefined : { fault: Number(fault), number: Number(number), survival };
}

/** False when the workload has fewer operations than that. */
async function strike<Event>(
  exploration: FaultExploration<Event>,
  { index, fault, number }: Stroke,
  survivalWanted: string | undefined,
  explored: Explored,
): Promise<boolean> {
  const events: Event[] = [];
  const disk = exploration.startDisk?.() ?? new SimulatedDisk();
  const struck: Issued[] = [];
  armNth(exploration, disk, fault, number, struck);
  const outcome = await exploration.workload(disk, events).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const [first] = struck;
  if (first === undefined) {
    if (outcome !== undefined) throw outcome.error;
    return false;
  }
  explored.points++;
  const way = `seed ${exploration.seed}: ${JSON.stringify(fault)} at operation ${number} (${textOf(first)})`;
  const path = `${index}@${number}`;
  if (isBrokenAssertion(outcome?.error)) throw failureOf(`${way}: the workload`, `${path}/all`, outcome?.error);
  for (const { name, survival } of survivalsOf(exploration, number)) {
    if (survivalWanted !== undefined && survivalWanted !== name) continue;
    explored.states++;
    try {
      await exploration.verify(disk.crash(survival), [...events]);
    } catch (error) {
      throw failureOf(`${way}, survival ${name}`, `${path}/${name}`, error);
    }
  }
  return true;
}

function armNth<Event>(
  exploration: FaultExploration<Event>,
  disk: SimulatedDisk,
  fault: Fault,
  number: number,
  struck: Issued[],
): void {
  const isCandidate = exploration.operationFilter ?? ((operation: Issued) => operation.kind !== 'close');
  const every = exploration.repeatEvery;
  let count = 0;
  const strikes = (operation: Issued): boolean => {
    if (!isCandidate(operation)) return false;
    count++;
    const due = count === number || (every !== undefined && count > number && (count - number) % every === 0);
    if (due) struck.push(operation);
    return due;
  };
  disk.failAt(strikes, fault, every === undefined ? 1 : Number.POSITIVE_INFINITY);
}

function survivalsOf<Event>(exploration: FaultExploration<Event>, number: number): readonly NamedSurvival[] {
  const fixed = (['all', 'synced'] as const).map((survival) => ({ name: survival, survival }));
  const random = Array.from({ length: exploration.randomSurvivals ?? 2 }, (_, index) => ({
    name: `random-${index}`,
    survival: { seed: mixSeed(exploration.seed, number, index) },
  }));
  return [...fixed, ...random];
}

function isBrokenAssertion(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AssertionFailure || cause instanceof AssertionError) return true;
  }
  return false;
}

function failureOf(way: string, path: string, cause: unknown): CrashPointFailure {
  return new CrashPointFailure(`${way}: ${messageOf(cause)} [path ${path}]`, path, cause);
}
