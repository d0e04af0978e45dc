import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { WorkerProcess } from '../../test/service/worker-process.ts';
import type { Experiment } from '../experiment.ts';
import { limited } from '../live/limit.ts';
import { isOnPath, liveExperiment } from '../live/live-experiment.ts';
import { expect, type Site } from '../live/site.ts';

const receiptsMin = 50;
const failureCount = 2;
/** Of the calls of one thread, the one that fails: the worker syncs from four threads. */
const callMax = 8;

/**
 * fsync and fdatasync of the real process fail with EIO, by strace.
 *
 * strace keeps the call from the kernel, so that the data stays where it was: in the page cache. Whether a worker that
 * trusted it would have lost something only a power failure could show; the simulated disk plays that. Here it is shown
 * that the process notices: it gives its store up, opens it again from the last good commit, and goes on.
 */
export const failingSync: Experiment = liveExperiment({
  name: 'failing-sync',
  family: 'process',
  rows: [6],
  promise:
    'when fsync of the real process fails (EIO), no failed commit is acknowledged: the shard opens again by itself, every ' +
    'put is acknowledged in the end, and all receipts are found, also after the worker was killed',
  leastWork: { cases: failureCount, operations: failureCount * receiptsMin },
  unavailable: whyNoInjection,
  act: async (site) => {
    let worker = await site.launchReady();
    site.load.start();
    let failures = 0;
    for (; failures < failureCount && !site.signal.aborted; failures += 1) {
      await site.load.acknowledged(site.signal, receiptsMin);
      await failOneSync(site, worker);
      await site.load.acknowledged(site.signal, receiptsMin);
      await site.readAll();
    }
    await site.ended(worker, 'SIGKILL');
    worker = await site.launchReady();
    await site.finish(worker);
    return failures;
  },
});

async function failOneSync(site: Site, worker: WorkerProcess): Promise<void> {
  const from = worker.lines.length;
  const injection = await Injection.attach(site.signal, worker.pid, site.random.between(1, callMax));
  try {
    await site.logged(worker, 'shard-state', { fields: { state: 'recovering' }, from });
  } finally {
    await injection.detach();
  }
  await site.logged(worker, 'shard-state', { fields: { state: 'open' }, from });
  expect(injection.failed > 0, 'the worker recovered though no sync failed');
}

/** strace on a process that runs. */
class Injection {
  readonly #strace: ChildProcess;
  failed = 0;

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
  }

  /** From now on the `call`-th sync of each thread fails. */
  static async attach(signal: AbortSignal, pid: number, call: number): Promise<Injection> {
    const calls = 'fsync,fdatasync';
    const inject = `inject=${calls}:error=EIO:when=${call}`;
    const strace = spawn('strace', ['-f', '-e', `trace=${calls}`, '-e', inject, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const injection = new Injection(strace);
    const attached = Promise.withResolvers<void>();
    strace.once('error', attached.reject);
    strace.once('exit', () => attached.reject(new Error('strace ended')));
    createInterface({ input: strace.stderr }).on('line', (line) => {
      if (line.includes('attached')) attached.resolve();
      if (line.includes('(INJECTED)')) injection.failed += 1;
    });
    try {
      await limited(signal, 'strace at work', attached.promise);
    } catch (error) {
      strace.kill('SIGINT');
      throw error;
    }
    return injection;
  }

  /** The process goes on without it. */
  async detach(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return;
    const exited = once(this.#strace, 'exit');
    this.#strace.kill('SIGINT');
    await exited;
  }
}

/** Why no system call can be made to fail here. */
async function whyNoInjection(): Promise<string | undefined> {
  if (!(await isOnPath('strace'))) return 'strace is not on PATH';
  const child = spawn(
    'strace',
    ['-f', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:error=EIO', 'true'],
    {
      stdio: 'ignore',
    },
  );
  const [status] = await once(child, 'exit');
  return status === 0 ? undefined : `strace may not trace here (it ended with ${status})`;
}
