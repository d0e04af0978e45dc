import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Violation } from '../../crashlab/experiment.ts';
import { processExperiments } from '../../crashlab/process/experiments.ts';
import { fullDisk } from '../../crashlab/process/full-disk.ts';
import { killedWorker } from '../../crashlab/process/killed-worker.ts';
import { round, testLiveEdition } from './live-edition.ts';

describe('a worker process under faults', { concurrency: 2 }, () => {
  testLiveEdition(processExperiments);

  // The edition above has a worker that does not look.
  test('full-disk, below a worker that watches its free space', async (t) => {
    const reason = await fullDisk.unavailable?.();
    if (reason === undefined) await round(fullDisk, 2, t.signal);
    else t.skip(reason);
  });
});

describe('the lab finds a worker', { concurrency: 2 }, () => {
  function broken(program: string): ReturnType<typeof killedWorker> {
    return killedWorker(fileURLToPath(new URL(program, import.meta.url)));
  }

  test('that completes jobs before their records are written', async (t) => {
    await assert.rejects(round(broken('./hasty-worker-program.ts'), 1, t.signal), (error) => {
      return error instanceof Violation && /^(lost|older): /.test(error.message);
    });
  });

  test('that takes every delivery of a job for the first', async (t) => {
    await assert.rejects(round(broken('./forgetful-worker-program.ts'), 1, t.signal), (error) => {
      return error instanceof Violation && /^doubled: /.test(error.message);
    });
  });
});
