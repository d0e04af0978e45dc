/** Rounds that are told to stop: what they had begun may fail later, and nobody may miss that it is handled. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Experiment } from '../../crashlab/experiment.ts';
import { limited } from '../../crashlab/live/limit.ts';
import { Load, usualLoad } from '../../crashlab/live/load.ts';
import { ReceiptJournal } from '../../crashlab/live/receipt-journal.ts';
import { fullDisk } from '../../crashlab/process/full-disk.ts';
import { blockedWorker } from '../../crashlab/process/halted-worker.ts';
import { endOf } from '../../crashlab/round-end.ts';
import { yieldToLoop as turn } from '../../src/base/yield.ts';
import { Random } from '../simulation/random.ts';

let directory = '';
const strays: unknown[] = [];
const note = (error: unknown): void => void strays.push(error);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'permafrost-stop-'));
  strays.length = 0;
  process.on('unhandledRejection', note);
});

afterEach(async () => {
  await turn();
  process.off('unhandledRejection', note);
  assert.deepEqual(strays, []);
  assert.ok(!(await readFile('/proc/mounts', 'utf8').catch(() => '')).includes(directory), 'something is mounted');
  await rm(directory, { recursive: true });
});

describe('when the lab is being stopped', () => {
  test('work that fails after nobody waits any more is no unhandled rejection', async () => {
    const work = Promise.withResolvers<void>();
    await assert.rejects(limited(AbortSignal.abort(), 'the work', work.promise), { name: 'AbortError' });
    work.reject(new Error('the worker ended'));
    await turn();
  });

  test('receipts that are waited for may never come', async () => {
    const journal = await ReceiptJournal.create(join(directory, 'receipts'));
    const put = (): Promise<never> => Promise.reject(new Error('not in this test'));
    const load = new Load({ put }, journal, new Random(1), usualLoad);
    await assert.rejects(load.acknowledged(AbortSignal.abort(), 1), { name: 'AbortError' });
    load.abandon();
    await turn();
    await journal.close();
  });

  for (const experiment of [blockedWorker, fullDisk]) {
    test(`${experiment.name} ends at once, before its worker has said anything`, async (t) => {
      const reason = await experiment.unavailable?.();
      if (reason !== undefined) return t.skip(reason);
      assert.equal((await stopped(experiment)).kind, 'interrupted');
    });
  }

  function stopped(experiment: Experiment) {
    return endOf(experiment, { seed: 8, directory, signal: AbortSignal.abort() });
  }
});
