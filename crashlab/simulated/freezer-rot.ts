/** One slot of each bucket rots; the store is opened, which derives the buckets, and synced, and crashes on the way. */
import { headerSize } from '../../src/blob/header.ts';
import { bucketSize, slotSize } from '../../src/freezer/table-entry.ts';
import { type CrashEvent, verifyOf, type WorkloadPlan, workloadOf } from '../../test/freezer/crash-model.ts';
import { steadyTable } from '../../test/freezer/crash-plans.ts';
import { Keeper } from '../../test/freezer/keeper.ts';
import { exploreCrashPoints } from '../../test/simulation/crash-points.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Round, Work } from '../experiment.ts';
import { crashWork } from './explored-work.ts';

const tablePath = 'table/7461626c65';
/** A byte of a slot that its checksum covers. */
const rottenByte = 20;

/** Which of a bucket's slots rots, the seed says. */
export async function derivedBuckets(round: Round): Promise<Work> {
  const { seed, path, signal } = round;
  const plan: WorkloadPlan = { seed, turns: 8, settings: steadyTable };
  const whole = new SimulatedDisk();
  const events: CrashEvent[] = [];
  await workloadOf(plan)(whole, events);
  const rotten = whole.crash('allDurable');
  rotten.mutate(tablePath, (bytes) => withRottenSlots(bytes, seed % 2));
  const judged = { operations: 0 };
  const exploration = exploreCrashPoints<CrashEvent>({
    workload: async (disk, seen) => {
      seen.push(...events);
      const { keeper, freezer } = await Keeper.open(disk, steadyTable);
      await freezer.sync(keeper.saveCheckpoint);
      await freezer.release();
    },
    verify: verifyOf({ ...plan, judged }),
    startDisk: () => rotten.clone(),
    ...{ seed, signal, randomSurvivals: 12, sectorSizes: [1, 512] },
    ...(path !== undefined && { path }),
  });
  return crashWork(exploration, judged);
}

function withRottenSlots(bytes: Buffer, slot: number): Buffer {
  const rotten = Buffer.from(bytes);
  for (let at = headerSize + slot * slotSize; at + slotSize <= rotten.length; at += bucketSize) {
    if (rotten.subarray(at, at + slotSize).every((byte) => byte === 0)) continue;
    rotten.writeUInt8(rotten.readUInt8(at + rottenByte) ^ 1, at + rottenByte);
  }
  return rotten;
}
