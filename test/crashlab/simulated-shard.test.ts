import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { RoundThread } from '../../crashlab/round-place.ts';
import { simulatedShardExperiments } from '../../crashlab/simulated/shard-experiments.ts';
import { brokenShards, catalogue } from './broken-shards.ts';
import { testSmallEdition } from './small-edition.ts';

describe('a whole shard on a simulated disk', () => {
  testSmallEdition(simulatedShardExperiments, {
    'shard-misdirected': Array.from({ length: 23 }, (_, index) => index + 1),
  });
});

describe('the crash lab notices a shard that is broken on purpose', () => {
  const thread = new RoundThread(new URL('./broken-shards.ts', import.meta.url));
  after(() => thread.close());
  for (const [index, { name, seed = 1 }] of brokenShards.entries()) {
    test(name, async (t) => {
      const experiment = catalogue[index];
      assert.ok(experiment !== undefined);
      const end = await thread.run(experiment, { seed, directory: '', signal: t.signal });
      assert.equal(end.kind, 'violation', JSON.stringify(end));
    });
  }
});
