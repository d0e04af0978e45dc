/** Operations of the freezer's disk that fail, one after the other. */
import assert from 'node:assert/strict';
import { type CrashEvent, verifyOf, type WorkloadPlan, workloadOf } from '../../test/freezer/crash-model.ts';
import { drawnSettings } from '../../test/freezer/crash-plans.ts';
import type { Scenario } from '../../test/simulation/crash-points.ts';
import { exploreFaults } from '../../test/simulation/fault-points.ts';
import type { Logged } from '../../test/simulation/gate.ts';
import { Random } from '../../test/simulation/random.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Round, Work } from '../experiment.ts';
import { faultWork } from './explored-work.ts';

/** Every call once with every error; the program either ends with it or opens the store anew and goes on. */
export function failedOperations(round: Round): Promise<Work> {
  const { seed, path, signal } = round;
  const random = new Random(seed);
  const judged = { operations: 0 };
  const goesOn = random.chance(0.5);
  const plan: WorkloadPlan = { seed, turns: 3, settings: drawnSettings(random), looksUp: true, goesOn };
  const exploration = exploreFaults({
    workload: workloadOf({ ...plan, judged }),
    verify: verifyOf({ ...plan, judged }),
    ...{ seed, signal, faults: ['eio', 'enospc', 'short-write', 'short-read'], randomSurvivals: 1 },
    ...(path !== undefined && { path }),
  });
  return faultWork(exploration, judged);
}

/**
 * Every fsync once, of sections, table, saved files and directories. The store is opened anew and goes on; at the end
 * the power fails, and once more after the recovery from that. `disturb` breaks the engine, to show that it is noticed.
 */
export function failedFsyncs(round: Round, disturb?: WorkloadPlan['disturb']): Promise<Work> {
  const { seed, path, signal } = round;
  const judged = { operations: 0 };
  const plan: WorkloadPlan = { seed, turns: 10, settings: drawnSettings(new Random(seed)), goesOn: true };
  const verify = verifyOf({ ...plan, judged });
  const exploration = exploreFaults<CrashEvent>({
    workload: neverSyncingAgain(workloadOf({ ...plan, ...(disturb && { disturb }) })),
    verify: async (disk, events) => {
      await verify(disk, events);
      await verify(disk.crash('synced'), events);
    },
    ...{ seed, signal, faults: ['eio'], randomSurvivals: 2 },
    operationFilter: ({ kind }) => kind === 'sync' || kind === 'syncDirectory',
    ...(path !== undefined && { path }),
  });
  return faultWork(exploration, judged);
}

/** A second fsync that returns proves nothing about what the first one lost. */
function neverSyncingAgain<Event>(workload: Scenario<Event>): Scenario<Event> {
  return async (disk, events) => {
    await workload(disk, events);
    assertNotRetried(disk);
  };
}

function assertNotRetried({ log }: SimulatedDisk): void {
  const failed = log.findIndex(({ kind, failed: hasFailed }) => kind === 'sync' && hasFailed);
  if (failed < 0) return;
  const ofFile = log.slice(failed + 1).filter(({ path }) => path === log[failed]?.path);
  const before = ofFile.slice(
    0,
    indexOrEnd(ofFile, ({ kind }) => kind === 'open' || kind === 'create'),
  );
  const again = before.find(({ kind }) => kind === 'sync');
  assert.equal(again, undefined, `${log[failed]?.path} was synced again although its fsync had failed`);
}

function indexOrEnd(log: readonly Logged[], matches: (operation: Logged) => boolean): number {
  const index = log.findIndex(matches);
  return index < 0 ? log.length : index;
}
