import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Violation } from '../../crashlab/experiment.ts';
import { processExperiments } from '../../crashlab/process/experiments.ts';
import { fullDisk } from '../../crashlab/process/full-disk.ts';
import { killedWorker } from '../../crashlab/process/killed-worker.ts';
import { round, testLiveEdition } from './live-edition.ts';

describe('a worker process under faults', { concurrency: 2 }, () => {
  testLiveEdition(processExperiments, {
    'killed-worker': 5,
    'stopped-worker': 2,
    'shared-volume': 3,
    'cloned-volume': 3,
    'draining-worker': 4,
    'full-disk': 2,
  });

  // The edition above has a worker that does not look.
  test('full-disk, below a worker that watches its free space', async (t) => {
    const reason = await fullDisk.unavailable?.();
    if (reason === undefined) await round(fullDisk, 4, t.signal);
    else t.skip(reason);
  });
});

describe('the lab finds a worker', { concurrency: 2 }, () => {
  /** A round in about three finds it, on a quiet machine fewer. */
  const roundsMax = 12;

  function broken(program: string): ReturnType<typeof killedWorker> {
    return killedWorker(fileURLToPath(new URL(program, import.meta.url)));
  }

  /** When a kill comes is drawn, what it meets is not: of so many rounds one must find what is broken. */
  async function findsIn(program: string, what: RegExp, signal: AbortSignal): Promise<void> {
    for (let seed = 1; seed <= roundsMax; seed++) {
      try {
        await round(broken(program), seed, signal);
      } catch (error) {
        assert.ok(error instanceof Violation && what.test(error.message), String(error));
        return;
      }
    }
    assert.fail(`${roundsMax} rounds found nothing`);
  }

  test('that completes jobs before their records are written', (t) =>
    findsIn('./hasty-worker-program.ts', /^(lost|older): /, t.signal));

  // What is stored once more behind a later version of its key is the newest then: found by that before it is counted.
  test('that takes every delivery of a job for the first', (t) =>
    findsIn('./forgetful-worker-program.ts', /^(doubled|older): /, t.signal));
});
