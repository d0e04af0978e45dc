import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { Counter } from '../../src/base/counter.ts';
import { silentLogger } from '../../src/base/logger.ts';

test('the system clock tells the time of day, and a time that never goes back', () => {
  assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1000);
  let before = systemClock.monotonicMs();
  for (let round = 0; round < 1000; round++) {
    const now = systemClock.monotonicMs();
    assert.ok(now >= before);
    before = now;
  }
});

test('a timer of the system clock fires once, after its delay', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let count = 0;
  systemClock.after(20, () => count++);
  t.mock.timers.tick(19);
  assert.equal(count, 0);
  t.mock.timers.tick(1);
  assert.equal(count, 1);
  t.mock.timers.tick(100);
  assert.equal(count, 1);
});

test('a cancelled timer of the system clock does not fire', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let count = 0;
  systemClock.after(20, () => count++).cancel();
  t.mock.timers.tick(100);
  assert.equal(count, 0);
});

test('a pending timer does not keep the process alive', () => {
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const timer = systemClock.after(1_000_000, () => {});
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length, before);
  timer.cancel();
});

test('a counter counts up by one, or by as many as it is told', () => {
  const counter = new Counter();
  assert.equal(counter.value, 0);
  counter.add();
  counter.add(5);
  counter.add(0);
  assert.equal(counter.value, 6);
});

test('the silent logger takes every level and says nothing', () => {
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    assert.equal(silentLogger[level]({}, 'event'), undefined);
});
