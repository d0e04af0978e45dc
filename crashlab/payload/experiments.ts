import type { Experiment } from '../experiment.ts';

export const payloadExperiments: readonly Experiment[] = [];
