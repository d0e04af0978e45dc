import { describe } from 'node:test';
import { simulatedFreezerExperiments } from '../../crashlab/simulated/freezer-experiments.ts';
import { testSmallEdition } from './small-edition.ts';

describe('a freezer on a simulated disk', () => {
  // Together some 3,500 crash points, 20,000 disk states and 20,000 operations beside the model.
  testSmallEdition(simulatedFreezerExperiments, {
    'freezer-power-loss': [1, 2, 3, 4],
    'freezer-torn-sectors': [1, 2, 3],
    'freezer-nested-crashes': [1, 2, 3],
    // 101: records behind the checkpoint continue a chain that two buckets share.
    'freezer-rebuild-crashes': [1, 101],
    'freezer-derived-buckets': [1, 2],
    'freezer-model': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  });
});
