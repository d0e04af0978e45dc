/** The small edition of the lab's experiments: a round or a few of each, with seeds that stay the same. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Experiment, Work } from '../../crashlab/experiment.ts';
import { RoundThread } from '../../crashlab/round-place.ts';
import { shortfallOf, sumOf } from '../../crashlab/work.ts';

const catalogue = new URL('../../crashlab/catalogue.ts', import.meta.url);

/**
 * One test an experiment, with a round for each of its seeds (1 if `seeds` names none), in the lab's thread: the test
 * runner watches every promise of its own thread, which makes simulated rounds ten times slower.
 */
export function testSmallEdition(
  experiments: readonly Experiment[],
  seeds: Readonly<Record<string, readonly number[]>> = {},
): void {
  const thread = new RoundThread(catalogue);
  after(() => thread.close());
  for (const experiment of experiments) {
    test(`${experiment.name}: ${experiment.promise}`, async (t) => {
      const done: Work[] = [];
      for (const seed of seeds[experiment.name] ?? [1]) {
        // A simulated round writes nothing below its directory.
        const end = await thread.run(experiment, { seed, directory: '', signal: t.signal });
        if (end.kind !== 'whole') assert.fail(JSON.stringify(end));
        assert.equal(shortfallOf(end.work, experiment.leastWork), undefined);
        done.push(end.work);
      }
      const { cases, crashPoints, diskStates, operations } = sumOf(done);
      t.diagnostic(`${cases} cases, ${crashPoints} crash points, ${diskStates} disk states, ${operations} operations`);
    });
  }
}
