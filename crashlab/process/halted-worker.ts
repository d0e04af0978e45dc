import { fileURLToPath } from 'node:url';
import type { WorkerProcess } from '../../test/service/worker-process.ts';
import type { Experiment } from '../experiment.ts';
import { passed } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, lockDurationMs, type Site } from '../live/site.ts';

const blockingProgram = fileURLToPath(new URL('./blocking-worker-program.ts', import.meta.url));
const haltCount = 2;
const receiptsMin = 50;

const promise =
  'for longer than its locks last: what is delivered again to it is absorbed, no receipt is lost and nothing is stored twice';

/** SIGSTOP: the whole process stands still, threads and all. */
export const stoppedWorker: Experiment = liveExperiment({
  name: 'stopped-worker',
  family: 'process',
  rows: [11],
  promise: `a worker is stopped (SIGSTOP, then SIGCONT) ${promise}; another worker cannot take its directory meanwhile`,
  leastWork: { cases: haltCount, operations: haltCount * receiptsMin },
  act: (site) =>
    haltUnderLoad(site, async (worker) => {
      worker.signal('SIGSTOP');
      const haltMs = site.random.between(lockDurationMs + 100, 2 * lockDurationMs);
      await Promise.all([site.refused(site.launch(), 'owned by'), passed(site.signal, haltMs)]);
      worker.signal('SIGCONT');
    }),
});

/** The event loop stands still while the threads that write and sync go on. */
export const blockedWorker: Experiment = liveExperiment({
  name: 'blocked-worker',
  family: 'process',
  rows: [11],
  promise: `the event loop of a worker is blocked ${promise}`,
  leastWork: { cases: haltCount, operations: haltCount * receiptsMin },
  site: () => ({ program: blockingProgram }),
  act: (site) =>
    haltUnderLoad(site, async (worker) => {
      worker.signal('SIGUSR2');
      await passed(site.signal, lockDurationMs);
    }),
});

async function haltUnderLoad(site: Site, halt: (worker: WorkerProcess) => Promise<void>): Promise<number> {
  const worker = await site.launchReady();
  site.load.start();
  let halts = 0;
  while (halts < haltCount && !site.signal.aborted) {
    await site.load.acknowledged(site.signal, receiptsMin);
    await passed(site.signal, site.random.between(0, 100));
    const before = worker.lines.length;
    await halt(worker);
    await site.load.acknowledged(site.signal, receiptsMin);
    halts += 1;
    expect(!worker.lines.slice(before).some(({ event }) => event === 'worker-ready'), 'the worker started anew');
  }
  await site.finish(worker);
  return halts;
}
