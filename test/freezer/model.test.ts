import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exploreApart } from '../simulation/apart.ts';

const operationsMin = 15_000;

test('a freezer does what a list of puts does, through crashes and reopenings', async (t) => {
  const operations = await exploreApart<number>(
    new URL('./model-exploration.ts', import.meta.url),
    'random operations',
  );
  t.diagnostic(`${operations} operations`);
  assert.ok(operations >= operationsMin, `only ${operations} operations`);
});
