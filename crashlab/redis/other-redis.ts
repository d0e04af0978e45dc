import { join } from 'node:path';
import { checkpointKey } from '../../src/protocol/names.ts';
import type { Experiment } from '../experiment.ts';
import { until } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { archive, expect, type Site } from '../live/site.ts';

const receiptsMin = 50;

/**
 * A worker that starts finds another Redis than it left: an empty one, one from an old backup, one that knows more
 * than the volume.
 */
export const otherRedis: Experiment = liveExperiment({
  name: 'other-redis',
  family: 'redis',
  rows: [10, 16],
  promise:
    'a worker that starts at an empty Redis, or at one with an older checkpoint, keeps all that is on its volume and ' +
    'publishes it; at one with a newer checkpoint, or with an empty directory at one that knows the shard, it refuses ' +
    'and changes nothing; `--trust-volume` goes on',
  leastWork: { cases: 5, operations: receiptsMin },
  site: () => ({ redis: { appendOnly: 'no' }, load: { putTimeoutMs: 1500 } }),
  act: async (site) => {
    await startAtEmptyRedis(site);
    await startAtOlderCheckpoint(site);
    await refuseNewerCheckpoint(site);
    await refuseEmptyDirectory(site);
    const worker = await site.launchReady({ TRUST_VOLUME: 'true' });
    await site.readAll();
    await site.finish(worker);
    return 5;
  },
});

async function startAtEmptyRedis(site: Site): Promise<void> {
  const worker = await site.launchReady();
  site.load.start();
  await site.load.acknowledged(site.signal, receiptsMin);
  const { epoch } = await site.published();
  await site.ended(worker, 'SIGKILL');
  await site.redisServer.kill();
  await site.redisServer.restart();
  expect((await site.published()).epoch === 0, 'the new Redis is not empty');
  const next = await site.launchReady();
  await until(site.signal, 'its checkpoint', async () => (await site.published()).epoch >= epoch);
  await site.load.stop(site.signal);
  await site.readAll();
  await site.ended(next, 'SIGTERM');
}

async function startAtOlderCheckpoint(site: Site): Promise<void> {
  const { epoch } = await site.published();
  await publishEpoch(site, 1);
  const worker = await site.launchReady();
  await until(site.signal, 'the newer checkpoint', async () => (await site.published()).epoch >= epoch);
  await site.readAll();
  await site.ended(worker, 'SIGKILL');
}

async function refuseNewerCheckpoint(site: Site): Promise<void> {
  const { epoch } = await site.published();
  await publishEpoch(site, epoch + 1000);
  await site.refused(site.launch(), 'rolled back');
}

async function refuseEmptyDirectory(site: Site): Promise<void> {
  const nothing = join(site.round.directory, 'nothing');
  await site.refused(site.launch({ DATA_DIR: nothing }), 'the volume is empty');
}

/** Has Redis say that the newest checkpoint is of this epoch. */
async function publishEpoch(site: Site, epoch: number): Promise<void> {
  const key = checkpointKey(archive, 0);
  const checkpoint = Buffer.from((await site.redis.hget(key, 'checkpoint')) ?? '', 'hex');
  checkpoint.writeBigUInt64BE(BigInt(epoch));
  await site.redis.hset(key, { epoch: String(epoch), checkpoint: checkpoint.toString('hex') });
}
