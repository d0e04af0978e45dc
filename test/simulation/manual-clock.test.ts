import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import { ManualClock } from './manual-clock.ts';

test('time stands still until it is moved, and moves both clocks', () => {
  const clock = new ManualClock(1000);
  assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [1000, 0]);
  clock.advance(250);
  assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [1250, 250]);
  assert.throws(() => clock.advance(-1), AssertionFailure);
});

test('timers fire in the order of time, then of setting, each at its own moment', () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  const note = (name: string) => () => fired.push(`${name}@${clock.monotonicMs()}`);
  clock.after(30, note('late'));
  clock.after(10, note('first'));
  clock.after(10, note('second'));
  clock.after(31, note('not yet'));
  clock.advance(30);
  assert.deepEqual(fired, ['first@10', 'second@10', 'late@30']);
  assert.deepEqual([clock.pendingTimers, clock.nextTimerMs], [1, 1]);
});

test('a timer that is set by another one fires in the same move when it is due', () => {
  const clock = new ManualClock();
  const fired: number[] = [];
  const again = (): void => {
    fired.push(clock.monotonicMs());
    clock.after(10, again);
  };
  clock.after(10, again);
  clock.advance(35);
  assert.deepEqual(fired, [10, 20, 30]);
});

test('a cancelled timer does not fire, and a fired one fires once', () => {
  const clock = new ManualClock();
  let count = 0;
  const cancelled = clock.after(5, () => count++);
  clock.after(5, () => count++);
  cancelled.cancel();
  clock.advance(5);
  clock.advance(5);
  cancelled.cancel();
  assert.equal(count, 1);
  assert.equal(clock.nextTimerMs, undefined);
});

test('the wall clock jumps without any timer or the monotonic clock noticing', () => {
  const clock = new ManualClock(1000);
  let fired = false;
  clock.after(10, () => {
    fired = true;
  });
  clock.jumpWall(86_400_000);
  clock.jumpWall(-2 * 86_400_000);
  assert.equal(clock.wallMs(), 1000 - 86_400_000);
  assert.deepEqual([clock.monotonicMs(), fired], [0, false]);
  clock.advance(10);
  assert.ok(fired);
});
