/**
 * Crashes and failing disks under a whole shard: puts side by side, a reader beside them, syncs, resizes, clean closes.
 *
 * The seed of a round draws the puts and the sizes of pages, buffers, sections and table. A sector of a torn write has
 * 1, 16, 512 or 4096 bytes.
 */
import type { Disk } from '../../src/disk/disk.ts';
import { drawnSettings, resizingSettings, ShardModel, type ShardPlan } from '../../test/shard/crash-model.ts';
import { exploreCrashPoints } from '../../test/simulation/crash-points.ts';
import { exploreFaults } from '../../test/simulation/fault-points.ts';
import type { Fault, OperationFilter } from '../../test/simulation/gate.ts';
import { Random } from '../../test/simulation/random.ts';
import type { Experiment, Round, Work } from '../experiment.ts';
import { crashWork, faultWork } from './explored-work.ts';

/** Stands between a shard and its disk: breaks the shard from below. */
export type Disturb = (disk: Disk) => Disk;

interface Depth {
  readonly survivals: number;
  readonly depth?: number;
  readonly nestedPointsMax?: number;
  readonly pointFilter?: (step: number) => boolean;
}

/** One round: a plan from the seed, crashed at every point. */
export async function crashRound(round: Round, plan: Omit<ShardPlan, 'seed'>, depth: Depth): Promise<Work> {
  const model = new ShardModel({ ...plan, seed: round.seed });
  const { survivals, ...rest } = depth;
  const exploration = exploreCrashPoints({
    workload: model.workload,
    verify: model.verify,
    randomSurvivals: survivals,
    ...rest,
    ...placeOf(round),
  });
  return crashWork(exploration, model);
}

async function faultRound(
  round: Round,
  plan: Omit<ShardPlan, 'seed'>,
  faults: readonly Fault[],
  operationFilter: OperationFilter,
): Promise<Work> {
  const model = new ShardModel({ excused: ['unavailable'], ...plan, seed: round.seed });
  const exploration = exploreFaults({
    workload: model.workload,
    verify: model.verify,
    faults,
    operationFilter,
    randomSurvivals: 1,
    ...placeOf(round),
  });
  return faultWork(exploration, model);
}

function placeOf({ seed, path, signal }: Round): Pick<Round, 'seed' | 'path' | 'signal'> {
  return { seed, signal, ...(path === undefined ? {} : { path }) };
}

/** Every so many fsyncs fail; more often than an opening has fsyncs, none would succeed. */
function failingPlan(seed: number): Omit<ShardPlan, 'seed'> {
  const random = new Random(seed);
  const only = random.pick(['checkpoint', 'commit-mark', undefined, undefined]);
  return {
    turns: 3,
    settings: random.chance(0.5) ? resizingSettings : drawnSettings(random),
    failedSyncEvery: only === undefined ? random.between(14, 29) : random.between(4, 7),
    ...(only === undefined ? {} : { failedSyncOf: only }),
  };
}

const isSync: OperationFilter = ({ kind }) => kind === 'sync' || kind === 'syncDirectory';

/** Each operation once with the fault that fits it: a failing one of any kind, and half of a read or a write. */
async function everyOperationFails(round: Round): Promise<Work> {
  const plan = { turns: 2, settings: drawnSettings(new Random(round.seed)) };
  const fault = new Random(round.seed).pick(['eio', 'short'] as const);
  if (fault === 'eio') return faultRound(round, plan, ['eio'], ({ kind }) => kind !== 'close');
  // A file that ends before the record that it should hold is damaged, for all that a reader can tell.
  const cut: ShardPlan['excused'] = ['unavailable', 'corrupt'];
  return faultRound(
    round,
    { ...plan, excused: cut },
    ['short-read', 'short-write'],
    ({ kind }) => kind === 'read' || kind === 'write',
  );
}

/** `disturb` breaks the shards of all of them on purpose. */
export function crashExperiments(disturb?: Disturb): readonly Experiment[] {
  const disturbed = disturb === undefined ? {} : { disturb };
  return [
    {
      name: 'shard-crash',
      family: 'simulated',
      rows: [1, 2, 3, 4, 24],
      promise:
        'a shard that went down at any step of its disk opens again with every put that resolved, once; what a lookup returned is never missing or older, and nothing is invented',
      leastWork: { crashPoints: 60, diskStates: 400, operations: 5000 },
      run: (round) => {
        const settings = drawnSettings(new Random(round.seed));
        return crashRound(round, { turns: 4, closes: true, settings, ...disturbed }, { survivals: 3 });
      },
    },
    {
      name: 'shard-crash-while-resizing',
      family: 'simulated',
      rows: [1, 2, 3, 4],
      promise: 'the same while each sync takes a resize of the table a step further',
      leastWork: { crashPoints: 60, diskStates: 400, operations: 5000 },
      run: (round) => crashRound(round, { turns: 4, settings: resizingSettings, ...disturbed }, { survivals: 3 }),
    },
    {
      name: 'shard-crash-in-recovery',
      family: 'simulated',
      rows: [5],
      promise: 'the same when the recovery goes down, and the recovery of that recovery: opening converges',
      leastWork: { crashPoints: 60, diskStates: 240 },
      run: (round) =>
        crashRound(
          round,
          { turns: 1, settings: drawnSettings(new Random(round.seed)), ...disturbed },
          { survivals: 1, depth: 3, nestedPointsMax: 2, pointFilter: (step) => (step + round.seed) % 17 === 0 },
        ),
    },
    {
      name: 'shard-failed-fsync',
      family: 'simulated',
      rows: [6],
      promise:
        'when any one fsync of a file or directory fails, the puts that resolved before and after are on disk, and lookups stay right through the second instance',
      leastWork: { cases: 20, diskStates: 60, operations: 1000 },
      run: (round) =>
        faultRound(
          round,
          { turns: 4, settings: drawnSettings(new Random(round.seed)), closes: true, ...disturbed },
          ['eio'],
          isSync,
        ),
    },
    {
      name: 'shard-failed-fsync-then-crash',
      family: 'simulated',
      rows: [1, 2, 6],
      promise: 'when fsyncs keep failing now and then, a crash at any step in between loses nothing either',
      leastWork: { crashPoints: 60, diskStates: 300, operations: 4000 },
      run: (round) => crashRound(round, { ...failingPlan(round.seed), ...disturbed }, { survivals: 2 }),
    },
    {
      name: 'shard-failed-operation',
      family: 'simulated',
      rows: [7],
      promise:
        'when any one call to the disk fails, or reads or writes only half, the error has a code, nothing wrong is answered and nothing that resolved is lost (by seed: failing calls, or short reads and writes)',
      leastWork: { cases: 40, diskStates: 100, operations: 2000 },
      run: (round) => everyOperationFails(round),
    },
  ];
}
