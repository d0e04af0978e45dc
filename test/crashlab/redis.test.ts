import { describe, test } from 'node:test';
import { redisExperiments } from '../../crashlab/redis/experiments.ts';
import { killedRedis } from '../../crashlab/redis/lossy-redis.ts';
import { round, testLiveEdition } from './live-edition.ts';

describe('a Redis under faults', { concurrency: 2 }, () => {
  testLiveEdition(redisExperiments);

  // What the seeds choose; the edition above has `everysec`.
  for (const [persistence, seed] of Object.entries({ always: 0, no: 2, snapshots: 3 })) {
    test(`${killedRedis.name} with ${persistence}`, async (t) => {
      const reason = await killedRedis.unavailable?.();
      if (reason === undefined) await round(killedRedis, seed, t.signal);
      else t.skip(reason);
    });
  }
});
