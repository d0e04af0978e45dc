/** All experiments of the lab, in the order in which those of a lane get their first round. */
import type { Experiment } from './experiment.ts';
import { payloadExperiments } from './payload/experiments.ts';
import { processExperiments } from './process/experiments.ts';
import { redisExperiments } from './redis/experiments.ts';
import { simulatedFreezerExperiments } from './simulated/freezer-experiments.ts';
import { simulatedShardExperiments } from './simulated/shard-experiments.ts';
import { surgeryExperiments } from './surgery/experiments.ts';

export const catalogue: readonly Experiment[] = [
  ...simulatedFreezerExperiments,
  ...simulatedShardExperiments,
  ...surgeryExperiments,
  ...processExperiments,
  ...redisExperiments,
  ...payloadExperiments,
];
