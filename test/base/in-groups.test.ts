import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inGroups } from '../../src/base/in-groups.ts';
import { yieldToLoop } from '../../src/base/yield.ts';

test('outcomes come in the order of the items, and no more than a group is under way', async () => {
  let underWay = 0;
  let most = 0;
  const outcomes = await inGroups([5, 3, 1, 4, 2], 2, async (turns) => {
    most = Math.max(most, ++underWay);
    for (let turn = 0; turn < turns; turn++) await yieldToLoop();
    underWay--;
    return turns * 10;
  });
  assert.deepEqual(outcomes, [50, 30, 10, 40, 20]);
  assert.equal(most, 2);
});

test('the first failure in the order is thrown when all of its group have ended, and no group follows', async () => {
  const ended: number[] = [];
  const work = async (item: number): Promise<void> => {
    for (let turn = 0; turn < 4 - item; turn++) await yieldToLoop();
    ended.push(item);
    if (item > 0) throw new Error(`item ${item}`);
  };
  await assert.rejects(inGroups([0, 1, 2, 3], 3, work), { message: 'item 1' });
  assert.deepEqual(ended, [2, 1, 0]);
});
