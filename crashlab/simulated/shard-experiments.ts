/** The experiments with a whole shard on a simulated disk. */
import type { Experiment } from '../experiment.ts';

export const simulatedShardExperiments: readonly Experiment[] = [];
