import type { Experiment } from '../experiment.ts';
import { passed } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, type Site } from '../live/site.ts';

/** What a worker is given between SIGTERM and SIGKILL. */
const graces = [1000, 30_000] as const;
const receiptsMin = 50;

/** SIGTERM with a full queue. */
export const drainingWorker: Experiment = liveExperiment({
  name: 'draining-worker',
  family: 'process',
  rows: [20],
  promise:
    'SIGTERM with a full queue and 0, 1 or 30 seconds of grace: no receipt is lost, the worker ends with 0 within its ' +
    'grace, and what it did not finish is back in the queue for the next one',
  leastWork: { cases: graces.length + 1, operations: graces.length * receiptsMin },
  site: () => ({ load: { restMsMax: 0, laneCount: 100 }, settings: { PUT_CONCURRENCY: '16' } }),
  act: async (site) => {
    let drains = 0;
    for (const graceMs of site.random.shuffled(graces)) {
      if (site.signal.aborted) break;
      await drain(site, graceMs);
      drains += 1;
    }
    await leaveAtOnce(site);
    const last = await site.launchReady();
    await site.finish(last);
    return drains + 1;
  },
});

/** No grace: the two signals come together, and jobs in hand stay so until their locks run out. */
async function leaveAtOnce(site: Site): Promise<void> {
  const worker = await site.launchReady();
  await site.load.acknowledged(site.signal, receiptsMin);
  worker.signal('SIGTERM');
  await site.ended(worker, 'SIGKILL');
}

async function drain(site: Site, graceMs: number): Promise<void> {
  // The service's own deadline is below the grace, as in the chart.
  const worker = await site.launchReady({ CLOSE_DEADLINE_MS: String(graceMs * 0.8) });
  if (site.journal.records.length === 0) site.load.start();
  await site.load.acknowledged(site.signal, receiptsMin);
  await passed(site.signal, site.random.between(0, 50));
  const startedMs = performance.now();
  const status = await site.ended(worker, 'SIGTERM');
  const tookMs = performance.now() - startedMs;
  expect(status === 0, `the worker ended with ${status} after SIGTERM`);
  expect(tookMs < graceMs, `the worker took ${Math.round(tookMs)} ms to end, its grace was ${graceMs} ms`);
  const left = (await site.jobs()).get('active');
  expect(left === 0, `${left} jobs are neither done nor back in the queue`);
}
