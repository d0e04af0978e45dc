import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exploreApart } from '../simulation/apart.ts';
import type { Explored } from '../simulation/crash-points.ts';

const module = new URL('./crash-explorations.ts', import.meta.url);
const explore = (name: string): Promise<Explored> => exploreApart(module, name);

/** Smallest counts that a run may end with: a workload that shrank would prove less than it says. */
const whole = [
  { name: 'every point, closed in between', points: 150, states: 900 },
  { name: 'every point, resizing at each sync', points: 140, states: 700 },
  { name: 'crashes inside recovery', points: 700, states: 3000 },
  { name: 'fsyncs that fail, then a crash', points: 130, states: 650 },
  { name: 'checkpoints that fail, then a crash', points: 180, states: 900 },
  { name: 'failed operations', points: 280, states: 800 },
];

const broken = [
  'no fsync of the checkpoint file',
  'no fsync of the section manifest',
  'no fsync of the key sections',
  'a checkpoint that was only readable is not written again',
];

describe('a shard that crashes keeps every put that resolved, invents nothing and stores nothing twice', () => {
  for (const { name, points, states } of whole) {
    test(name, async (t) => {
      const explored = await explore(name);
      t.diagnostic(`${explored.points} crash points, ${explored.states} disk states`);
      assert.ok(explored.points >= points && explored.states >= states, JSON.stringify(explored));
    });
  }
});

describe('the crash tests notice a shard that is broken on purpose', () => {
  for (const name of broken) {
    test(name, async () => {
      await assert.rejects(explore(`broken: ${name}`), /seed \d+, depth \d+: /);
    });
  }
});
