/** A disk that is full from any one of its calls on, and has room again later; the shard stays the same process. */
import assert from 'node:assert/strict';
import { messageOf } from '../../src/base/errors.ts';
import { drawnSettings, ShardModel, type ShardPlan } from '../../test/shard/crash-model.ts';
import { FullDisk } from '../../test/shard/full-disk.ts';
import type { ShardEvent } from '../../test/shard/promises.ts';
import { isStopped } from '../../test/simulation/crash-points.ts';
import { mixSeed, Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import { type Experiment, type Round, Violation, type Work } from '../experiment.ts';
import type { Disturb } from './shard-crashes.ts';

/** Calls for space in the shortest workload. */
const caseCountMin = 40;

interface Moment {
  readonly disk: SimulatedDisk;
  readonly events: readonly ShardEvent[];
}

interface Tally {
  diskStates: number;
  operations: number;
  answersWhileFull: number;
}

/** Fills the disk at its operation number `from`; false when the workload has fewer. */
async function fillAt(round: Round, from: number, tally: Tally, disturb: Disturb | undefined): Promise<boolean> {
  const disk = new SimulatedDisk();
  const events: ShardEvent[] = [];
  const moments: Moment[] = [];
  const settings = drawnSettings(new Random(round.seed));
  const remember = (): void => void moments.push({ disk: disk.clone(), events: [...events] });
  const fullDisk = new FullDisk(disk, from, remember);
  const plan: ShardPlan = { seed: round.seed, turns: 2, closes: true, settings, disturb };
  const model = new ShardModel({ ...plan, fullDisk });
  await model.workload(disk, events);
  if (!fullDisk.struck) return false;
  remember();
  assert.deepEqual(unresolvedIn(events), [], 'puts that were taken never resolved');
  const checker = new ShardModel(plan);
  for (const [index, moment] of moments.entries()) {
    for (const survival of ['all', 'synced', { seed: mixSeed(round.seed, from, index) }] as const) {
      tally.diskStates++;
      await checker.verify(moment.disk.crash(survival), [...moment.events]);
    }
  }
  tally.operations += model.operations + checker.operations;
  tally.answersWhileFull += model.answersWhileFull;
  return true;
}

function unresolvedIn(events: readonly ShardEvent[]): readonly string[] {
  const settled = new Set(
    events.flatMap((event) => ('request' in event && event.kind !== 'attempted' ? [event.request.putId] : [])),
  );
  return events.flatMap((event) =>
    event.kind === 'attempted' && !settled.has(event.request.putId) ? [event.request.putId] : [],
  );
}

export async function fullDiskRound(round: Round, disturb?: Disturb): Promise<Work> {
  const tally: Tally = { diskStates: 0, operations: 0, answersWhileFull: 0 };
  const only = round.path === undefined ? undefined : Number(round.path);
  let from = only ?? 1;
  for (; !(await isStopped(round.signal)); from++) {
    try {
      if (!(await fillAt(round, from, tally, disturb))) break;
    } catch (error) {
      const message = `seed ${round.seed}: the disk is full from operation ${from} on: ${messageOf(error)}`;
      throw new Violation(message, { path: `${from}`, cause: error });
    }
    if (only !== undefined) break;
  }
  const { diskStates, operations, answersWhileFull } = tally;
  if (from > caseCountMin && answersWhileFull === 0)
    throw new Violation('no lookup was answered while the disk was full');
  return { cases: only === undefined ? from - 1 : 1, crashPoints: 0, diskStates, operations };
}

export const fullDiskExperiment: Experiment = {
  name: 'shard-full-disk',
  family: 'simulated',
  rows: [8],
  promise:
    'when the disk is full from any one call on, puts wait and lookups are answered; when there is room again the same shard goes on by itself, every put that it had taken resolves, and nothing is lost, a crash in between included',
  leastWork: { cases: caseCountMin, diskStates: 200, operations: 3000 },
  run: (round) => fullDiskRound(round),
};
