import type { Experiment } from '../experiment.ts';
import { passed } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, lockDurationMs, type Site } from '../live/site.ts';

const receiptsMin = 50;
const hindranceCount = 2;
const leastWork = { cases: hindranceCount, operations: hindranceCount * receiptsMin };

/** Redis stands still, also for longer than the locks of jobs last: by SIGSTOP, or by its own CLIENT PAUSE. */
export const pausedRedis: Experiment = liveExperiment({
  name: 'paused-redis',
  family: 'redis',
  rows: [10],
  promise:
    'a Redis that stands still (SIGSTOP or CLIENT PAUSE), also for longer than locks last, delays puts and loses none: ' +
    'no receipt is lost, no put has to be sent again, nothing is stored twice',
  leastWork,
  act: (site) =>
    hinderUnderLoad(site, async () => {
      const ms = site.random.between(100, 2 * lockDurationMs);
      if (site.random.chance(0.5)) {
        await site.redis.call('CLIENT', 'PAUSE', ms);
        return;
      }
      process.kill(site.redisServer.pid, 'SIGSTOP');
      await passed(site.signal, ms);
      process.kill(site.redisServer.pid, 'SIGCONT');
    }),
});

/** `maxmemory` is passed and nothing may be evicted: every write that needs memory is refused. */
export const fullRedis: Experiment = liveExperiment({
  name: 'full-redis',
  family: 'redis',
  rows: [10],
  promise:
    'a Redis without memory (noeviction) takes no jobs: puts wait and go on by themselves when it has room; no receipt ' +
    'is lost, no put has to be sent again, nothing is stored twice',
  leastWork,
  act: (site) =>
    hinderUnderLoad(site, async () => {
      await site.redis.config('SET', 'maxmemory', '1');
      await passed(site.signal, site.random.between(100, 700));
      await site.redis.config('SET', 'maxmemory', '0');
    }),
});

/** A master that becomes a replica under our hands, as in a failover: it serves reads, and refuses writes. */
export const readOnlyRedis: Experiment = liveExperiment({
  name: 'read-only-redis',
  family: 'redis',
  rows: [10],
  promise:
    'a Redis that becomes a read-only replica (READONLY) and is promoted again: puts wait and go on by themselves, no ' +
    'receipt is lost, nothing is stored twice',
  leastWork,
  act: (site) =>
    hinderUnderLoad(site, async () => {
      // A master that is not there: nothing is replicated, nothing is wiped.
      await site.redis.call('REPLICAOF', '127.0.0.1', '1');
      await passed(site.signal, site.random.between(100, 700));
      await site.redis.call('REPLICAOF', 'NO', 'ONE');
    }),
});

async function hinderUnderLoad(site: Site, hinder: () => Promise<void>): Promise<number> {
  const worker = await site.launchReady();
  site.load.start();
  let hindrances = 0;
  for (; hindrances < hindranceCount && !site.signal.aborted; hindrances += 1) {
    await site.load.acknowledged(site.signal, receiptsMin);
    await passed(site.signal, site.random.between(0, 200));
    await hinder();
    await site.load.acknowledged(site.signal, receiptsMin);
    await site.readAll();
  }
  await site.finish(worker);
  expect(site.load.resentCount === 0, `${site.load.resentCount} puts got no receipt and had to be sent again`);
  return hindrances;
}
