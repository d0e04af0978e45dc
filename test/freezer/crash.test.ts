import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exploreApart } from '../simulation/apart.ts';
import type { Explored } from '../simulation/crash-points.ts';

const module = new URL('./crash-explorations.ts', import.meta.url);
const explore = (name: string): Promise<Explored> => exploreApart(module, name);

/** Smallest counts that a run may end with: a workload that shrank would prove less than it says. */
const whole = [
  { name: 'every point, first seed', points: 200, states: 1800 },
  { name: 'every point, second seed', points: 200, states: 1800 },
  { name: 'resizes that finish', points: 200, states: 1500 },
  { name: 'pages of several commits', points: 120, states: 1000 },
  { name: 'crashes inside recovery', points: 1000, states: 5000 },
  { name: 'fsyncs that fail', points: 200, states: 1000 },
  { name: 'derived buckets', points: 30, states: 400 },
  { name: 'failed operations', points: 200, states: 800 },
];

const broken = [
  'no fsync of key sections',
  'no fsync of value sections',
  'no fsync of the table',
  'table written before the journals are durable',
  'puts before the checkpoint is saved',
  'pages written while their fsync is in flight',
  'adopted bytes not written again',
];

describe('a freezer that crashes keeps every committed record and invents none', () => {
  for (const { name, points, states } of whole) {
    test(name, async (t) => {
      const explored = await explore(name);
      t.diagnostic(`${explored.points} crash points, ${explored.states} disk states`);
      assert.ok(explored.points >= points && explored.states >= states, JSON.stringify(explored));
    });
  }
});

test('the table is written only when the journals are durable', async () => {
  const tableWrites = await exploreApart<number>(module, 'journals before the table');
  assert.ok(tableWrites >= 10, `only ${tableWrites} writes of the table`);
});

describe('the crash tests notice an engine that is broken on purpose', () => {
  for (const name of broken) {
    test(name, async () => {
      await assert.rejects(explore(`broken: ${name}`), /crash at step \d+|table written at \d+/);
    });
  }
});
