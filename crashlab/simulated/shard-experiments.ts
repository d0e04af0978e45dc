/** The experiments with a whole shard on a simulated disk. */
import type { Experiment } from '../experiment.ts';
import { backupExperiments } from './shard-backup.ts';
import { checkpointExperiment } from './shard-checkpoints.ts';
import { clockExperiment, conflictExperiment } from './shard-conflicts.ts';
import { crashExperiments } from './shard-crashes.ts';
import { fullDiskExperiment } from './shard-full-disk.ts';
import { misdirectedExperiment } from './shard-misdirected.ts';
import { offlineExperiments } from './shard-offline.ts';
import { salvageExperiment } from './shard-salvage.ts';

export const simulatedShardExperiments: readonly Experiment[] = [
  ...crashExperiments(),
  ...offlineExperiments,
  salvageExperiment,
  ...backupExperiments,
  fullDiskExperiment,
  conflictExperiment,
  clockExperiment,
  checkpointExperiment,
  misdirectedExperiment,
];
