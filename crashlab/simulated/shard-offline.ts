/** `verify` and the rebuilding of the table on shards that crashed, and crashes inside of both. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../src/base/logger.ts';
import { tableFile } from '../../src/shard/engine-settings.ts';
import { makeTable } from '../../src/shard/new-table.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import { type VerifyReport, verifyShard } from '../../src/shard/verify.ts';
import { readVolume } from '../../src/shard/volume.ts';
import { drawnSettings, ShardModel } from '../../test/shard/crash-model.ts';
import { Promises, type ShardEvent } from '../../test/shard/promises.ts';
import { FakeLock, settled } from '../../test/shard/shard-harness.ts';
import { exploreCrashPoints } from '../../test/simulation/crash-points.ts';
import { ManualClock } from '../../test/simulation/manual-clock.ts';
import { Random } from '../../test/simulation/random.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Experiment, Round, Work } from '../experiment.ts';
import { crashWork } from './explored-work.ts';
import type { Disturb } from './shard-crashes.ts';
import { closedShard, crashedShard } from './shard-sample.ts';

/** A slot that was being written when the machine went down: verify cannot know better than to name it. */
const tornSlot =
  /^((checkpoint|commit-mark): the slot at offset \d+ cannot be read: a write to it was torn|table-digests-[01]: a write to it was torn)/;

function verify(disk: SimulatedDisk, settings: ShardSettings): Promise<VerifyReport> {
  return verifyShard({ disk, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger }, settings);
}

/** Verifies twice: the first run repairs what a crash left, the second finds nothing to name at all. */
async function verifyTwice(disk: SimulatedDisk, settings: ShardSettings): Promise<number> {
  const first = await verify(disk, settings);
  const unexpected = first.problems.filter((problem) => !tornSlot.test(problem));
  assert.deepEqual(unexpected, [], 'verify finds damage in a shard that only crashed');
  const second = await verify(disk, settings);
  assert.deepEqual(second.problems, []);
  assert.equal(second.recordCount, first.recordCount);
  assert.deepEqual(disk.openHandles, []);
  return first.recordCount;
}

async function judge(model: ShardModel, disk: SimulatedDisk, events: readonly ShardEvent[]): Promise<void> {
  const { shard, clock } = await model.open(disk);
  model.operations += await new Promises(events).judgeShard(shard);
  await settled(shard.close(), clock);
}

export async function verifyRound(round: Round, disturb?: Disturb): Promise<Work> {
  const { seed } = round;
  const settings = drawnSettings(new Random(seed));
  const model = new ShardModel({ seed, turns: 3, closes: true, settings, disturb });
  const check = async (disk: SimulatedDisk, events: ShardEvent[]): Promise<void> => {
    const { kind } = await readVolume(disk);
    if (kind === 'whole') model.operations += await verifyTwice(disk, model.settings);
    else assert.ok(!events.some((event) => event.kind === 'resolved'), `${kind}, but a put had resolved`);
    await judge(model, disk, events);
  };
  const exploration = exploreCrashPoints({
    workload: model.workload,
    verify: check,
    randomSurvivals: 1,
    depth: 3,
    nestedPointsMax: 1,
    pointFilter: (step) => (step + seed) % 24 === 0,
    ...round,
  });
  return crashWork(exploration, model);
}

/** Damages the table, or takes it away: rebuilding needs no byte of it. */
function ruinTable(disk: SimulatedDisk, random: Random): void {
  disk.mutate(tableFile, (bytes) => {
    switch (random.below(3)) {
      case 0:
        return undefined;
      case 1:
        return random.bytes(random.below(bytes.length + 1));
      default:
        return Buffer.concat([bytes.subarray(0, 8), random.bytes(bytes.length - 8)]);
    }
  });
}

async function rebuild(disk: SimulatedDisk, settings: ShardSettings): Promise<void> {
  await makeTable(disk, settings.engine);
}

/** By seed the table is ruined first, and then no opening goes without rebuilding; or it is whole, and any does. */
export async function rebuildRound(round: Round): Promise<Work> {
  const random = new Random(round.seed);
  const isRuined = random.chance(0.7);
  const sample = await (random.chance(0.5) ? closedShard(round.seed) : crashedShard(round.seed));
  const { model } = sample;
  const exploration = exploreCrashPoints<ShardEvent>({
    startDisk: () => {
      const disk = sample.disk.clone();
      if (isRuined) ruinTable(disk, random);
      return disk;
    },
    workload: (disk) => rebuild(disk, model.settings),
    verify: async (disk) => {
      if (isRuined) await rebuild(disk, model.settings);
      await judge(model, disk, sample.events);
      assert.deepEqual(disk.openHandles, []);
    },
    randomSurvivals: 1,
    depth: 3,
    nestedPointsMax: 1,
    pointFilter: (step) => (step + round.seed) % 3 === 0,
    ...round,
  });
  return crashWork(exploration, model);
}

export const offlineExperiments: readonly Experiment[] = [
  {
    name: 'shard-verify',
    family: 'simulated',
    rows: [1, 2, 5],
    promise:
      'verify finds nothing wrong with a shard that only crashed (but a slot torn by the crash, which it names), also when verify itself goes down, and when its repeat does; a second run finds nothing at all, and all that resolved is there',
    leastWork: { crashPoints: 42, diskStates: 168, operations: 500 },
    run: (round) => verifyRound(round),
  },
  {
    name: 'shard-rebuild',
    family: 'simulated',
    rows: [5, 14],
    promise:
      'a table that is lost or garbage is made anew from the key index, however often that goes down in the middle, and then every promised record is found',
    leastWork: { crashPoints: 21, diskStates: 84, operations: 500 },
    run: (round) => rebuildRound(round),
  },
];
