import type { Experiment } from '../experiment.ts';
import { passed } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import type { Site } from '../live/site.ts';

const killCount = 3;
/** Receipts that come before each kill that is not one of a worker that still starts. */
const receiptsMin = 50;

/**
 * A worker that is killed again and again under load. Without `program` the worker is as it should be.
 *
 * SIGKILL takes what is in the process's memory and leaves what it has written to the kernel: this finds an
 * acknowledgement before the write, and cannot find a missing fsync. That one is for the simulated disk to find.
 */
export function killedWorker(program?: string): Experiment {
  return liveExperiment({
    name: 'killed-worker',
    family: 'process',
    rows: [9],
    promise:
      'a worker that is killed (SIGKILL) at any moment, also while it starts, loses no receipt and stores nothing twice; ' +
      'all receipts are read after each restart; the moments are real time, which a seed draws and does not repeat exactly',
    leastWork: { cases: killCount, operations: killCount * receiptsMin },
    site: () => (program === undefined ? {} : { program }),
    act: killAgainAndAgain,
  });
}

async function killAgainAndAgain(site: Site): Promise<number> {
  site.load.start();
  let kills = 0;
  while (kills < killCount && !site.signal.aborted) {
    if (site.random.chance(0.25)) kills += await killWhileStarting(site);
    await killUnderLoad(site);
    kills += 1;
  }
  const last = await site.launchReady();
  await site.finish(last);
  return kills;
}

async function killUnderLoad(site: Site): Promise<void> {
  const { random, signal } = site;
  const worker = await site.launchReady();
  const reading = site.readAll();
  const receipts = random.chance(0.5) ? random.between(receiptsMin, 400) : receiptsMin;
  await Promise.all([site.load.acknowledged(signal, receipts), reading]);
  await passed(signal, random.between(20, random.chance(0.2) ? 2000 : 300));
  await site.ended(worker, 'SIGKILL');
}

/** Recovery is interrupted, which the next start has to recover from. */
async function killWhileStarting(site: Site): Promise<number> {
  const worker = site.launch();
  await site.logged(worker, 'worker-starting');
  await passed(site.signal, site.random.between(0, 60));
  await site.ended(worker, 'SIGKILL');
  return 1;
}
