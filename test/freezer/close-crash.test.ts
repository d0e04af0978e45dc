/** A bare `close` may finish one resize and begin the next in one sync; the shard never calls it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exploreCrashPoints } from '../simulation/crash-points.ts';
import { verifyOf, workloadOf } from './crash-model.ts';
import { resizing } from './crash-plans.ts';

const seeds = [1, 2];

for (const [name, settings] of [
  ['one bucket a sync', resizing],
  ['two buckets a sync', { ...resizing, tableInitialSize: 2, tableResizeChunkSize: 2 }],
] as const) {
  test(`a crash at every step of closing is recovered from, where tables grow by ${name}`, async () => {
    let largest = 0;
    for (const seed of seeds) {
      const plan = { seed, turns: 7, settings, closes: true };
      const verify = verifyOf(plan);
      const { points } = await exploreCrashPoints({
        workload: workloadOf(plan),
        verify: async (disk, events) => {
          largest = Math.max(largest, (await disk.stat('table/7461626c65'))?.size ?? 0);
          await verify(disk, events);
        },
        seed,
        randomSurvivals: 2,
      });
      assert.ok(points > 60, `${points} crash points`);
    }
    assert.ok(largest >= 8 + 58 * 8, `${largest} bytes: no table has grown`);
  });
}
