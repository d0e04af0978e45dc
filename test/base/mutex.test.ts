import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mutex } from '../../src/base/mutex.ts';

test('one holder at a time, in the order of asking', async () => {
  const mutex = new Mutex();
  const order: string[] = [];
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const runs = gates.map((gate, index) =>
    mutex.run(async () => {
      order.push(`start ${index}`);
      await gate.promise;
      order.push(`end ${index}`);
      return index;
    }),
  );
  gates[2]?.resolve();
  gates[1]?.resolve();
  await Promise.resolve();
  assert.deepEqual(order, ['start 0']);
  gates[0]?.resolve();
  assert.deepEqual(await Promise.all(runs), [0, 1, 2]);
  assert.deepEqual(order, ['start 0', 'end 0', 'start 1', 'end 1', 'start 2', 'end 2']);
});

test('a holder that fails gets its failure, and the next one its turn', async () => {
  const mutex = new Mutex();
  const failing = mutex.run(() => Promise.reject(new RangeError('first')));
  const throwing = mutex.run(() => {
    throw new RangeError('second');
  });
  const working = mutex.run(() => 'third');
  await assert.rejects(failing, /first/);
  await assert.rejects(throwing, /second/);
  assert.equal(await working, 'third');
});

test('work starts after the call that asks for it, even when nobody holds', async () => {
  let started = false;
  const run = new Mutex().run(() => {
    started = true;
  });
  assert.equal(started, false);
  await run;
  assert.equal(started, true);
});
