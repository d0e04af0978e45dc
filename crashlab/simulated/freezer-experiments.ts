/** The experiments with a freezer, the engine alone, on a simulated disk. */
import type { Experiment } from '../experiment.ts';
import { crashAfterFailedFsyncs, nestedCrashes, powerLoss, tornSectors, writeOrder } from './freezer-crashes.ts';
import { failedFsyncs, failedOperations } from './freezer-faults.ts';
import { modelCheck } from './freezer-model.ts';
import { rebuildCrashes, salvageCrashes } from './freezer-rescue.ts';
import { derivedBuckets } from './freezer-rot.ts';

const kept = 'every committed record is found, in its order, none is invented, and the store goes on';

export const simulatedFreezerExperiments: readonly Experiment[] = [
  {
    name: 'freezer-power-loss',
    family: 'simulated',
    rows: [1, 2, 3, 4],
    promise: `A crash before any step of the disk, with unsynced writes lost, torn and reordered: ${kept}.`,
    leastWork: { crashPoints: 60, diskStates: 600, operations: 4_000 },
    run: powerLoss,
  },
  {
    name: 'freezer-torn-sectors',
    family: 'simulated',
    rows: [3],
    promise: `Writes torn at every byte, at sectors of 512 or of 4,096 bytes: ${kept}.`,
    leastWork: { crashPoints: 40, diskStates: 480, operations: 3_000 },
    run: tornSectors,
  },
  {
    name: 'freezer-write-order',
    family: 'simulated',
    rows: [4],
    promise: 'No byte of the table is written while a journal has bytes that no fsync covered.',
    leastWork: { cases: 12, operations: 100 },
    run: writeOrder,
  },
  {
    name: 'freezer-nested-crashes',
    family: 'simulated',
    rows: [5],
    promise: `A crash in the recovery of a crash in the recovery of a crash: ${kept}.`,
    leastWork: { crashPoints: 150, diskStates: 600, operations: 8_000 },
    run: nestedCrashes,
  },
  {
    name: 'freezer-rebuild-crashes',
    family: 'simulated',
    rows: [5],
    promise: `The table is lost or rotten, and building it anew crashes, three deep: done again, ${kept}.`,
    leastWork: { crashPoints: 50, diskStates: 250, operations: 1_000 },
    run: rebuildCrashes,
  },
  {
    name: 'freezer-salvage-crashes',
    family: 'simulated',
    rows: [5],
    promise: 'A salvage that crashes, three deep, leaves the old store as it was, and gives the same when done again.',
    leastWork: { crashPoints: 30, diskStates: 120, operations: 500 },
    run: salvageCrashes,
  },
  {
    name: 'freezer-derived-buckets',
    family: 'simulated',
    rows: [5, 13],
    promise: `One slot of every bucket is rotten, and the opening that derives them crashes: ${kept}.`,
    leastWork: { crashPoints: 10, diskStates: 150, operations: 1_000 },
    run: derivedBuckets,
  },
  {
    name: 'freezer-failed-fsyncs',
    family: 'simulated',
    rows: [6],
    promise: `Every fsync fails once, of files and directories: no commit returned for it, it is not retried, ${kept}.`,
    leastWork: { cases: 30, diskStates: 120, operations: 1_000 },
    run: (round) => failedFsyncs(round),
  },
  {
    name: 'freezer-crash-after-failed-fsync',
    family: 'simulated',
    rows: [6],
    promise: `Journals whose fsync fails now and then, reopened each time, and then a crash at any step: ${kept}.`,
    leastWork: { crashPoints: 50, diskStates: 350, operations: 2_500 },
    run: crashAfterFailedFsyncs,
  },
  {
    name: 'freezer-failed-operations',
    family: 'simulated',
    rows: [7, 8],
    promise: `Every call of the disk fails once with EIO, ENOSPC, a short write, a short read: ${kept}.`,
    leastWork: { cases: 200, diskStates: 600, operations: 1_000 },
    run: failedOperations,
  },
  {
    name: 'freezer-model',
    family: 'simulated',
    rows: [24],
    promise: 'Random operations, crashes and reopenings among them, give what a plain list of the puts gives.',
    leastWork: { cases: 80, crashPoints: 100, operations: 1_600 },
    run: modelCheck,
  },
];
