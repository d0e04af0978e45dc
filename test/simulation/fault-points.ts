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
import { CrashPointFailure, type Explored, type Scenario, textOf } from './crash-points.ts';
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
}

/** Throws a CrashPointFailure at the first state that does not verify; else says how many there were. */
export async function exploreFaults<Event>(exploration: FaultExploration<Event>): Promise<Explored> {
  const explored: Explored = { points: 0, states: 0 };
  for (const fault of exploration.faults) {
    for (let number = 1; await strike(exploration, fault, number, explored); number++);
  }
  return explored;
}

/** False when the workload has fewer operations than that. */
async function strike<Event>(
  exploration: FaultExploration<Event>,
  fault: Fault,
  number: number,
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
  if (isBrokenAssertion(outcome?.error)) throw failureOf(`${way}: the workload`, outcome?.error);
  for (const survival of survivalsOf(exploration, number)) {
    explored.states++;
    try {
      await exploration.verify(disk.crash(survival), [...events]);
    } catch (error) {
      throw failureOf(`${way}, survival ${JSON.stringify(survival)}`, error);
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

function survivalsOf<Event>(exploration: FaultExploration<Event>, number: number): Survival[] {
  const random = Array.from({ length: exploration.randomSurvivals ?? 2 }, (_, index) => ({
    seed: mixSeed(exploration.seed, number, index),
  }));
  return ['all', 'synced', ...random];
}

function isBrokenAssertion(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AssertionFailure || cause instanceof AssertionError) return true;
  }
  return false;
}

function failureOf(way: string, cause: unknown): CrashPointFailure {
  return new CrashPointFailure(`${way}: ${messageOf(cause)}`, { cause });
}
