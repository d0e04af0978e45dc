/** The crash explorations of the shard, and the broken shards that they must catch. Runs in a thread of its own. */
import { offerExplorations } from '../simulation/apart.ts';
import { type Explored, exploreCrashPoints } from '../simulation/crash-points.ts';
import { exploreFaults } from '../simulation/fault-points.ts';
import { type ShardPlan, verifyOf, workloadOf } from './crash-model.ts';
import { withoutRewriting, withoutSync } from './disturbed-disk.ts';
import { tinyEngine } from './shard-harness.ts';

interface Depth {
  readonly depth: number;
  readonly survivals: number;
}

function crashes(plan: ShardPlan, { depth, survivals }: Depth): Promise<Explored> {
  return exploreCrashPoints({
    workload: workloadOf(plan),
    verify: verifyOf(plan),
    seed: plan.seed,
    randomSurvivals: survivals,
    depth,
    nestedPointsMax: 3,
  });
}

const oneTable = { engine: { ...tinyEngine, tableInitialSize: 1, tableResizeFrequency: 1, tableResizeChunkSize: 1 } };
const failingCheckpoints: ShardPlan = {
  seed: 5,
  turns: 8,
  settings: oneTable,
  failedSyncEvery: 5,
  failedSyncOf: 'checkpoint',
};
const failing: ShardPlan = { seed: 4, turns: 6, failedSyncEvery: 19 };

await offerExplorations({
  'every point, closed in between': () => crashes({ seed: 1, turns: 5, closes: true }, { depth: 1, survivals: 3 }),
  'every point, resizing at each sync': () =>
    crashes({ seed: 2, turns: 5, settings: oneTable }, { depth: 1, survivals: 2 }),
  'crashes inside recovery': () => crashes({ seed: 3, turns: 1 }, { depth: 2, survivals: 1 }),
  'fsyncs that fail, then a crash': () => crashes(failing, { depth: 1, survivals: 2 }),
  'checkpoints that fail, then a crash': () => crashes(failingCheckpoints, { depth: 1, survivals: 2 }),
  'failed operations': () => {
    const plan: ShardPlan = { seed: 6, turns: 3 };
    return exploreFaults({
      workload: workloadOf(plan),
      verify: verifyOf(plan),
      seed: 6,
      faults: ['eio', 'enospc'],
      randomSurvivals: 1,
    });
  },
  'broken: no fsync of the checkpoint file': () =>
    crashes(
      { seed: 1, turns: 5, disturb: withoutSync((path) => path.startsWith('checkpoint')) },
      { depth: 1, survivals: 2 },
    ),
  'broken: no fsync of the section manifest': () =>
    crashes(
      { seed: 1, turns: 5, disturb: withoutSync((path) => path.startsWith('sections')) },
      { depth: 1, survivals: 2 },
    ),
  'broken: no fsync of the key sections': () =>
    crashes({ seed: 1, turns: 5, disturb: withoutSync((path) => path.startsWith('key/')) }, { depth: 1, survivals: 2 }),
  'broken: a checkpoint that was only readable is not written again': () =>
    crashes(
      { ...failingCheckpoints, disturb: withoutRewriting((path) => path === 'checkpoint') },
      { depth: 1, survivals: 2 },
    ),
});
