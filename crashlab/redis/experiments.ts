import type { Experiment } from '../experiment.ts';
import { fullRedis, pausedRedis, readOnlyRedis } from './hindered-redis.ts';
import { flushedRedis, killedRedis } from './lossy-redis.ts';
import { otherRedis } from './other-redis.ts';

export const redisExperiments: readonly Experiment[] = [
  killedRedis,
  flushedRedis,
  otherRedis,
  pausedRedis,
  fullRedis,
  readOnlyRedis,
];
