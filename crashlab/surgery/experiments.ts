import type { Experiment } from '../experiment.ts';

export const surgeryExperiments: readonly Experiment[] = [];
