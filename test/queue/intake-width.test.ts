import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IntakeWidth } from '../../src/queue/intake-width.ts';

const mebibyte = 1_048_576;

function widthFor(countMax: number): { readonly width: IntakeWidth; readonly told: number[] } {
  const told: number[] = [];
  return { told, width: new IntakeWidth({ countMax, bytesMax: 8 * mebibyte }, (count) => told.push(count)) };
}

test('a worker that was idle begins narrow, and grows with what it fetches up to its limit', () => {
  const { width, told } = widthFor(32);
  assert.equal(width.width, 16);
  for (let job = 0; job < 10; job++) width.fetched(1000);
  assert.deepEqual([told, width.width], [[20, 24, 28, 32], 32]);
});

test('large jobs are held in smaller numbers, but never in too small ones', () => {
  const { width } = widthFor(256);
  for (let job = 0; job < 100; job++) width.fetched(mebibyte);
  assert.equal(width.width, 8);
  for (let job = 0; job < 100; job++) width.fetched(100 * mebibyte);
  assert.equal(width.width, 4);
  for (let job = 0; job < 400; job++) width.fetched(100);
  assert.equal(width.width, 256);
});

test('a worker that has nothing in hand and finds nothing is narrow again, whichever it learns first', () => {
  for (const drainedFirst of [false, true]) {
    const { width, told } = widthFor(256);
    for (let job = 0; job < 100; job++) width.fetched(1000);
    if (drainedFirst) width.drained();
    for (let job = 0; job < 99; job++) width.settled();
    assert.equal(width.width, 256);
    width.settled();
    if (!drainedFirst) width.drained();
    assert.deepEqual([width.width, told.at(-1)], [16, 16]);
  }
});

test('a commit that settles all jobs in hand does not make a busy worker narrow', () => {
  const { width, told } = widthFor(256);
  for (let job = 0; job < 100; job++) width.fetched(1000);
  width.drained();
  width.fetched(1000);
  for (let job = 0; job < 101; job++) width.settled();
  assert.equal(width.width, 256);
  for (let job = 0; job < 101; job++) width.fetched(1000);
  assert.equal(told.at(-1), 256);
});

test('a limit below the first width holds from the beginning', () => {
  const { width, told } = widthFor(1);
  assert.equal(width.width, 1);
  width.fetched(1000);
  assert.deepEqual(told, []);
});
