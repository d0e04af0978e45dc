import type { Experiment } from '../experiment.ts';

export const redisExperiments: readonly Experiment[] = [];
