import type { Experiment } from '../experiment.ts';

export const simulatedFreezerExperiments: readonly Experiment[] = [];
