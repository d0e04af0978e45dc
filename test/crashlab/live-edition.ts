/** The small edition of the experiments with processes and Redis: a round or a few of each, with seeds that stay the same. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Experiment, Work } from '../../crashlab/experiment.ts';
import { shortfallOf, sumOf } from '../../crashlab/work.ts';

/** One round in a directory of its own. */
export async function round(experiment: Experiment, seed: number, signal: AbortSignal): Promise<Work> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-live-'));
  try {
    return await experiment.run({ seed, directory, signal });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** One test an experiment, of one round unless `rounds` says more; one that this machine cannot run is skipped, with the reason. */
export function testLiveEdition(
  experiments: readonly Experiment[],
  rounds: Readonly<Record<string, number>> = {},
): void {
  for (const experiment of experiments) {
    test(`${experiment.name}: ${experiment.promise}`, async (t) => {
      const reason = await experiment.unavailable?.();
      if (reason !== undefined) {
        t.skip(reason);
        return;
      }
      const done: Work[] = [];
      for (let seed = 1; seed <= (rounds[experiment.name] ?? 1); seed++) {
        const work = await round(experiment, seed, t.signal);
        assert.equal(shortfallOf(work, experiment.leastWork), undefined);
        done.push(work);
      }
      const { cases, operations } = sumOf(done);
      t.diagnostic(`${cases} cases, ${operations} operations`);
    });
  }
}
