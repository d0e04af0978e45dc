import type { Experiment } from '../experiment.ts';

export const processExperiments: readonly Experiment[] = [];
