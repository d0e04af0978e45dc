import type { Redis } from 'ioredis';
import type { RedisOptions } from '../../test/redis/redis-server.ts';
import type { Experiment } from '../experiment.ts';
import { passed, until } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, type Site } from '../live/site.ts';

const receiptsMin = 50;
const lossCount = 2;
const persistences = ['always', 'everysec', 'no', 'snapshots'] as const;
type Persistence = (typeof persistences)[number];

/** A put whose job is gone is sent again after so long: the client says `deadline`, the producer repeats. */
const resentAfterMs = 1500;

const loadOnRedisThatForgets = { putTimeoutMs: resentAfterMs };

/**
 * SIGKILL and a restart. The seed chooses the persistence; four seeds in a row have all of them. With snapshots an old
 * state comes back: jobs that were done, counters and checkpoint of back then.
 */
export const killedRedis: Experiment = liveExperiment({
  name: 'killed-redis',
  family: 'redis',
  rows: [10],
  promise:
    'Redis is killed (SIGKILL) under load and started again with append-only file `always`, `everysec` or none, or with ' +
    'a snapshot (RDB) of a while ago: no receipt is lost, the checkpoint is published again, jobs are lost only by a ' +
    'Redis without `always`, and neither sending them again nor the return of jobs that were done stores anything twice',
  leastWork: { cases: lossCount, operations: lossCount * receiptsMin },
  site: (seed) => {
    const persistence = persistenceOf(seed);
    return { redis: redisOf(persistence), load: persistence === 'always' ? {} : loadOnRedisThatForgets };
  },
  act: async (site) => {
    const persistence = persistenceOf(site.round.seed);
    const losses = await loseUnderLoad(site, async () => {
      if (persistence === 'snapshots') await takeSnapshot(site);
      await site.redisServer.kill();
      await passed(site.signal, site.random.between(0, 300));
      await site.redisServer.restart();
      if (persistence === 'snapshots') await expectSnapshot(site);
    });
    const { resentCount } = site.load;
    const mayLose = persistence !== 'always';
    expect(mayLose || resentCount === 0, `${resentCount} jobs were lost with the append-only file \`always\``);
    return losses;
  },
});

/** FLUSHALL: jobs, counters, heartbeats, checkpoint, lease, all gone, while every connection stays. */
export const flushedRedis: Experiment = liveExperiment({
  name: 'flushed-redis',
  family: 'redis',
  rows: [10],
  promise:
    'FLUSHALL under load loses no receipt and wipes nothing of the archive: the checkpoint is published again with the ' +
    'next sync, lost jobs are sent again, and nothing is stored twice',
  leastWork: { cases: lossCount, operations: lossCount * receiptsMin },
  site: () => ({ load: loadOnRedisThatForgets }),
  act: (site) => loseUnderLoad(site, async () => void (await site.redis.flushall())),
});

function persistenceOf(seed: number): Persistence {
  return persistences[seed % persistences.length] ?? 'always';
}

function redisOf(persistence: Persistence): RedisOptions {
  return persistence === 'snapshots' ? { appendOnly: 'no', snapshots: true } : { appendOnly: persistence };
}

/** Keeps the state of now, by a fork of Redis or while it stands still, and lets the load go on for a while. */
async function takeSnapshot({ redis, random, signal }: Site): Promise<void> {
  if (random.chance(0.5)) await redis.save();
  else {
    await redis.bgsave();
    await until(signal, 'the snapshot', async () => (await persistenceFact(redis, 'rdb_bgsave_in_progress')) === '0');
  }
  await passed(signal, random.between(0, 500));
}

/** Without it the round would show no more than a Redis that forgets everything. */
async function expectSnapshot({ redis }: Site): Promise<void> {
  const keyCount = Number(await persistenceFact(redis, 'rdb_last_load_keys_loaded'));
  expect(keyCount > 0, `Redis came back with ${keyCount} keys of its snapshot`);
}

async function persistenceFact(redis: Redis, name: string): Promise<string | undefined> {
  const lines = (await redis.info('persistence')).split('\r\n');
  return lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);
}

async function loseUnderLoad(site: Site, lose: () => Promise<void>): Promise<number> {
  const worker = await site.launchReady();
  site.load.start();
  let losses = 0;
  for (; losses < lossCount && !site.signal.aborted; losses += 1) {
    await site.load.acknowledged(site.signal, receiptsMin);
    await passed(site.signal, site.random.between(0, 200));
    const { epoch } = await site.published();
    await lose();
    await until(site.signal, 'a checkpoint in Redis again', async () => (await site.published()).epoch >= epoch);
    await site.load.acknowledged(site.signal, receiptsMin);
    await site.readAll();
  }
  await site.finish(worker);
  return losses;
}
