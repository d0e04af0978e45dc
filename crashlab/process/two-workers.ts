import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { leaseKey } from '../../src/protocol/names.ts';
import type { Experiment } from '../experiment.ts';
import { until } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { archive, expect, type Site } from '../live/site.ts';

const receiptsMin = 50;

/** Two processes, one directory. */
export const sharedVolume: Experiment = liveExperiment({
  name: 'shared-volume',
  family: 'process',
  rows: [19],
  promise:
    'a second worker on a directory is refused (`owned`) and disturbs nothing; when the first one is killed, the next one ' +
    'starts at once and finds every receipt',
  leastWork: { cases: 2, operations: 2 * receiptsMin },
  act: async (site) => {
    const first = await site.launchReady();
    site.load.start();
    await site.load.acknowledged(site.signal, receiptsMin);
    const refusedCount = site.random.between(1, 2);
    const others = Array.from({ length: refusedCount }, () => site.launch());
    await Promise.all(others.map((other) => site.refused(other, 'owned by')));
    await site.load.acknowledged(site.signal, receiptsMin);
    await site.ended(first, 'SIGKILL');
    const next = await site.launchReady();
    await site.readAll();
    await site.finish(next);
    return refusedCount + 1;
  },
});

/**
 * A copy of a volume carries the same instance id, and nothing in it says that it is a copy. What shows it is Redis:
 * a copy that is behind what is published is refused; one that is not takes the lease, and the worker that had it is
 * fenced. Until that worker notices (when it renews its lease, or at its next publication), both take jobs: what the loser
 * acknowledged in between is on its own volume. So a clone must never be started beside the original; this experiment
 * puts nothing meanwhile, and the loser, which has nothing to publish, notices all the same.
 */
export const clonedVolume: Experiment = liveExperiment({
  name: 'cloned-volume',
  family: 'process',
  rows: [19],
  promise:
    'a copy of a volume that is behind the published checkpoint is refused (`volume-rolled-back`); one that takes the ' +
    'shard over fences the worker before it, which ends and publishes nothing any more',
  leastWork: { cases: 2, operations: receiptsMin },
  act: async (site) => {
    const copy = join(site.round.directory, 'copy');
    const first = await site.launchReady();
    site.load.start();
    await site.load.acknowledged(site.signal, receiptsMin);
    const { epoch } = await site.published();
    await site.ended(first, 'SIGKILL');
    await cp(site.dataDir, copy, { recursive: true });
    const second = await site.launchReady();
    await site.load.stop(site.signal);
    await until(site.signal, 'a newer checkpoint', async () => (await site.published()).epoch > epoch + 1);
    await site.refused(site.launch({ DATA_DIR: copy }), 'rolled back');
    await site.ended(second, 'SIGKILL');
    await fenced(site);
    return 2;
  },
});

/** An up-to-date copy takes the shard over from the original. */
async function fenced(site: Site): Promise<void> {
  const clone = join(site.round.directory, 'clone');
  await cp(site.dataDir, clone, { recursive: true });
  const original = await site.launchReady({ SYNC_INTERVAL_MS: '3600000' });
  const taker = await site.launchReady({ DATA_DIR: clone, TRUST_VOLUME: 'true', SYNC_INTERVAL_MS: '20' });
  const before = { owner: await site.redis.get(leaseKey(archive, 0)), ...(await site.published()) };
  await site.logged(original, 'worker-fenced');
  const status = await site.ended(original, 'SIGCONT');
  expect(status === 1, `the fenced worker ended with ${status}`);
  expect(
    taker.lines.every(({ event }) => event !== 'worker-fenced'),
    'the worker that took over is fenced',
  );
  const after = { owner: await site.redis.get(leaseKey(archive, 0)), ...(await site.published()) };
  expect(after.owner === before.owner && after.epoch >= before.epoch, 'the fenced worker published once more');
  await site.readAll();
  await site.ended(taker, 'SIGTERM');
}
