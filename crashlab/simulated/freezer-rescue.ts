/**
 * What is done by hand for a store: the table is built anew, records are salvaged. Both may be cut short by a crash, at
 * any depth, and are done again until they are through.
 */
import assert from 'node:assert/strict';
import { removeStore } from '../../src/freezer/destroy.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { rebuildTable } from '../../src/freezer/rebuild.ts';
import { salvage } from '../../src/freezer/salvage.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import {
  type CrashEvent,
  modelOf,
  type Put,
  recordsOf,
  texts,
  verifyOf,
  type WorkloadPlan,
  workloadOf,
} from '../../test/freezer/crash-model.ts';
import { drawnSettings } from '../../test/freezer/crash-plans.ts';
import { Keeper } from '../../test/freezer/keeper.ts';
import { exploreCrashPoints } from '../../test/simulation/crash-points.ts';
import { mixSeed, Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Round, Work } from '../experiment.ts';
import { crashWork } from './explored-work.ts';

/** Three crashes deep, one point drawn inside each recovery. */
const depths = { depth: 3, nestedPointsMax: 1, randomSurvivals: 1 };
/** The first crash is at every so manyth step; the seed says at which of them. */
const rebuildStride = 2;
const salvageStride = 12;

/** A store after some work, as a crash of the machine left it, and all that was done to it. */
async function crashedStore(plan: WorkloadPlan, settings: FreezerSettings<Uint8Array>) {
  const working = new SimulatedDisk();
  const events: CrashEvent[] = [];
  await workloadOf({ ...plan, settings })(working, events);
  return { disk: working.crash({ seed: mixSeed(plan.seed, 1) }), events };
}

/** The table is gone or rotten; rebuilding it crashes, and is done again. */
export async function rebuildCrashes(round: Round): Promise<Work> {
  const { seed, path, signal } = round;
  const random = new Random(seed);
  const settings = drawnSettings(random);
  const plan: WorkloadPlan = { seed, turns: 8, settings };
  const { disk: start, events } = await crashedStore(plan, settings);
  const isLost = random.chance(0.5);
  start.mutate('table/7461626c65', (bytes) => (isLost ? undefined : random.bytes(bytes.length)));
  const judged = { operations: 0 };
  const rebuilt = async (disk: SimulatedDisk, seen: CrashEvent[]): Promise<void> => {
    if (seen.length === 0) seen.push(...events);
    const checkpoint = await Keeper.checkpointOn(disk);
    assert.ok(checkpoint !== undefined, 'the checkpoint is gone');
    await rebuildTable(disk, settings, checkpoint);
  };
  const exploration = exploreCrashPoints<CrashEvent>({
    workload: rebuilt,
    verify: async (disk, seen) => {
      await rebuilt(disk, seen);
      await verifyOf({ ...plan, judged })(disk.clone(), [...seen]);
    },
    pointFilter: (step) => (step + seed) % rebuildStride === 0,
    startDisk: () => start.clone(),
    ...{ seed, signal, ...depths },
    ...(path !== undefined && { path }),
  });
  return crashWork(exploration, judged);
}

/**
 * What is readable of a store is copied into a new one beside it; the copying crashes, what there is of the new store is
 * removed, and it is done again. The old store keeps every byte, and gives the same records each time.
 */
export async function salvageCrashes(round: Round): Promise<Work> {
  const { seed, path, signal } = round;
  const settings = drawnSettings(new Random(seed));
  const { disk: start, events } = await crashedStore({ seed, turns: 8 }, settings);
  const before = start.snapshot();
  const found = await salvagedFrom(start, settings);
  assertPutsOf(events, found);
  const copy = { ...settings, keyPartition: 'new-key', valuePartition: 'new-value', tablePartition: 'new-table' };
  const judged = { operations: 0 };
  const copied = async (disk: SimulatedDisk): Promise<void> => {
    const freezer = await Freezer.open(disk, copy, { kind: 'create' });
    for (const put of await salvagedFrom(disk, settings)) await freezer.putMany([put]);
    await freezer.sync(async () => {});
    assert.deepEqual(texts(await recordsOf(freezer)), texts(found));
    await freezer.release();
    judged.operations += found.length;
  };
  const exploration = exploreCrashPoints({
    workload: copied,
    verify: async (disk) => {
      for (const [file, bytes] of before) assert.deepEqual(disk.bytesOf(file), bytes, `${file} has changed`);
      await removeStore(disk, copy);
      await copied(disk);
    },
    startDisk: () => start.clone(),
    pointFilter: (step) => (step + seed) % salvageStride === 0,
    ...{ seed, signal, ...depths },
    ...(path !== undefined && { path }),
  });
  return crashWork(exploration, judged);
}

async function salvagedFrom(disk: SimulatedDisk, settings: FreezerSettings<Uint8Array>): Promise<readonly Put[]> {
  const found: Put[] = [];
  for await (const piece of salvage(disk, settings)) {
    if (piece.kind === 'record') found.push({ key: piece.record.key, value: Buffer.from(piece.record.value) });
  }
  return found;
}

/** All that was promised comes first; what follows was put, in that order. */
function assertPutsOf(events: readonly CrashEvent[], found: readonly Put[]): void {
  const { puts, promised } = modelOf(events);
  const wanted = texts(puts);
  const given = texts(found);
  assert.deepEqual(given.slice(0, promised), wanted.slice(0, promised));
  let at = promised;
  for (const text of given.slice(promised)) {
    at = wanted.indexOf(text, at) + 1;
    assert.ok(at > 0, 'a record that was never put');
  }
}
