import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sample } from '../../src/cli/sample.ts';

/** Numbers from 0 to 1 that are the same in each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('few items are all chosen, and of many as many as asked for, each once', () => {
  const few = new Sample<number>(10, numbers(1));
  for (let n = 0; n < 7; n++) few.add(n);
  assert.deepEqual(few.chosen, [0, 1, 2, 3, 4, 5, 6]);
  const many = new Sample<number>(10, numbers(1));
  for (let n = 0; n < 1000; n++) many.add(n);
  assert.equal(new Set(many.chosen).size, 10);
});

test('every item has the same chance, the first as the last', () => {
  const chosen = new Array<number>(20).fill(0);
  const random = numbers(7);
  for (let round = 0; round < 4000; round++) {
    const sample = new Sample<number>(5, random);
    for (let n = 0; n < 20; n++) sample.add(n);
    for (const n of sample.chosen) chosen[n] = (chosen[n] ?? 0) + 1;
  }
  for (const [n, count] of chosen.entries()) assert.ok(Math.abs(count - 1000) < 150, `${n}: ${count}`);
});
