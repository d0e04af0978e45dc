import type { Experiment } from '../experiment.ts';
import { passed, until } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, type Site } from '../live/site.ts';

const receiptsMin = 50;
const lossCount = 2;
const persistences = ['always', 'everysec', 'no'] as const;
type Persistence = (typeof persistences)[number];

/** A put whose job is gone is sent again after so long: the client says `deadline`, the producer repeats. */
const resentAfterMs = 1500;

const loadOnRedisThatForgets = { putTimeoutMs: resentAfterMs };

/** SIGKILL and a restart. The seed chooses the persistence; three seeds in a row have all of them. */
export const killedRedis: Experiment = liveExperiment({
  name: 'killed-redis',
  family: 'redis',
  rows: [10],
  promise:
    'Redis is killed (SIGKILL) under load and started again with append-only file `always`, `everysec` or none: no receipt is ' +
    'lost, the checkpoint is published again, jobs are lost only by a Redis without `always`, and sending them again ' +
    'stores nothing twice',
  leastWork: { cases: lossCount, operations: lossCount * receiptsMin },
  site: (seed) => {
    const appendOnly = persistenceOf(seed);
    return { redis: { appendOnly }, load: appendOnly === 'always' ? {} : loadOnRedisThatForgets };
  },
  act: async (site) => {
    const losses = await loseUnderLoad(site, async () => {
      await site.redisServer.kill();
      await passed(site.signal, site.random.between(0, 300));
      await site.redisServer.restart();
    });
    const { resentCount } = site.load;
    const mayLose = persistenceOf(site.round.seed) !== 'always';
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
