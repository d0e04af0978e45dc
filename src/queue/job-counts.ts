import { queuePrefix } from '../protocol/names.ts';
import type { RedisConnection } from './connection.ts';

/** Jobs of a queue in one state. */
export interface JobCount {
  readonly state: 'waiting' | 'active' | 'delayed' | 'failed';
  readonly count: number;
}

/** How many jobs a queue holds, by state. Four commands of constant time; no job is read. */
export async function readJobCounts(redis: RedisConnection, queue: string): Promise<readonly JobCount[]> {
  const key = (state: string): string => `${queuePrefix}:${queue}:${state}`;
  const [wait, prioritized, active, delayed, failed] = await Promise.all([
    redis.llen(key('wait')),
    redis.zcard(key('prioritized')),
    redis.llen(key('active')),
    redis.zcard(key('delayed')),
    redis.zcard(key('failed')),
  ]);
  return [
    { state: 'waiting', count: wait + prioritized },
    { state: 'active', count: active },
    { state: 'delayed', count: delayed },
    { state: 'failed', count: failed },
  ];
}
