/** Crashes of the freezer while it works, and while it recovers. */

import { messageOf } from '../../src/base/errors.ts';
import type { CrashEvent } from '../../test/freezer/crash-model.ts';
import { verifyOf, type WorkloadPlan, workloadOf } from '../../test/freezer/crash-model.ts';
import { drawnSettings, onePage } from '../../test/freezer/crash-plans.ts';
import { checkWriteOrder } from '../../test/freezer/write-order.ts';
import { type CrashExploration, exploreCrashPoints, isStopped } from '../../test/simulation/crash-points.ts';
import { mixSeed, Random } from '../../test/simulation/random.ts';
import { type Round, Violation, type Work } from '../experiment.ts';
import { noWork, sumOf } from '../work.ts';
import { crashWork } from './explored-work.ts';

type Depths = Pick<CrashExploration<CrashEvent>, 'depth' | 'nestedPointsMax' | 'pointFilter'>;
type Survivals = Pick<CrashExploration<CrashEvent>, 'randomSurvivals' | 'sectorSizes'>;

function explored(round: Round, plan: WorkloadPlan, options: Depths & Survivals): Promise<Work> {
  const judged = { operations: 0 };
  const { seed, path, signal } = round;
  const exploration = exploreCrashPoints({
    workload: workloadOf(plan),
    verify: verifyOf({ ...plan, judged }),
    ...{ seed, signal, ...options },
    ...(path !== undefined && { path }),
  });
  return crashWork(exploration, judged);
}

/** Puts, commits, syncs, resizes and new sections; a crash before each step of theirs. */
export function powerLoss(round: Round): Promise<Work> {
  const random = new Random(round.seed);
  const settings = drawnSettings(random);
  const plan = { seed: round.seed, turns: 5, settings, commitsOnly: random.chance(0.25) };
  return explored(round, plan, { randomSurvivals: 8 });
}

/** Values larger than a sector, a page whose checksum record two sectors share, and devices that tear at every border. */
export function tornSectors(round: Round): Promise<Work> {
  const random = new Random(round.seed);
  const pageSize = random.pick([500, 1012, 4084]);
  const settings = { ...onePage, keyPageCache: { pageSize, pages: 4 }, valueWriteBuffer: random.pick([1, 16_384]) };
  const valueSizeMax = random.pick([23, 1500, 9000]);
  const plan = { seed: round.seed, turns: 5, settings, valueSizeMax };
  return explored(round, plan, { randomSurvivals: 9, sectorSizes: [random.pick([1, 512, 4096])] });
}

/** A crash in the recovery of a crash in the recovery of a crash; which ones is drawn. */
export function nestedCrashes(round: Round): Promise<Work> {
  const random = new Random(round.seed);
  const plan = { seed: round.seed, turns: 7, settings: drawnSettings(random) };
  const every = random.between(32, 40);
  const first = random.below(every);
  const pointFilter = (step: number): boolean => step % every === first;
  return explored(round, plan, { depth: 3, nestedPointsMax: 2, randomSurvivals: 1, pointFilter });
}

/** Journals whose fsync fails now and then; the store is opened anew each time, goes on, and then the machine goes down. */
export function crashAfterFailedFsyncs(round: Round): Promise<Work> {
  const random = new Random(round.seed);
  // An opening rewrites and syncs each section behind the checkpoint: with too many of them none would ever succeed.
  const settings = { ...drawnSettings(random), valueTargetSize: 160 };
  const plan = { seed: round.seed, turns: 6, settings, goesOn: true, failedSyncEvery: random.between(7, 19) };
  return explored(round, plan, { randomSurvivals: 4 });
}

const orderedWorkloads = 12;

/** Reads in the log of the disk that no byte of the table was written over a journal that was not durable. */
export async function writeOrder(round: Round): Promise<Work> {
  const done: Partial<Work>[] = [];
  for (let number = 0; number < orderedWorkloads && !(await isStopped(round.signal)); number++) {
    const seed = mixSeed(round.seed, number);
    const plan = { seed, turns: 14, settings: drawnSettings(new Random(seed)) };
    const tableWrites = await checkWriteOrder(plan).catch((cause: unknown) => {
      throw new Violation(`workload ${number}: ${messageOf(cause)}`, { cause });
    });
    done.push({ ...noWork, cases: 1, operations: tableWrites });
  }
  return sumOf(done);
}
