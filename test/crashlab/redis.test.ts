import { describe } from 'node:test';
import { redisExperiments } from '../../crashlab/redis/experiments.ts';
import { testLiveEdition } from './live-edition.ts';

describe('a Redis under faults', { concurrency: 2 }, () => {
  testLiveEdition(redisExperiments);
});
