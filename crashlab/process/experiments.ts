import type { Experiment } from '../experiment.ts';
import { drainingWorker } from './draining-worker.ts';
import { failingSync } from './failing-sync.ts';
import { fullDisk } from './full-disk.ts';
import { blockedWorker, stoppedWorker } from './halted-worker.ts';
import { killedBackup } from './killed-backup.ts';
import { killedWorker } from './killed-worker.ts';
import { clonedVolume, sharedVolume } from './two-workers.ts';

export const processExperiments: readonly Experiment[] = [
  killedWorker(),
  stoppedWorker,
  blockedWorker,
  fullDisk,
  failingSync,
  sharedVolume,
  clonedVolume,
  drainingWorker,
  killedBackup,
];
