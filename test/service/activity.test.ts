import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Activity } from '../../src/service/activity.ts';
import { LatencyTally } from '../../src/service/latency-tally.ts';
import { ShardHistory } from '../../src/service/shard-history.ts';

test('tells a quantile by the upper bound of a bucket a fifth wide', () => {
  const tally = new LatencyTally();
  for (let ms = 1; ms <= 1000; ms += 1) tally.observe(ms / 1000);
  for (const part of [0.01, 0.5, 0.99, 1]) {
    const found = tally.quantile(part) ?? 0;
    assert.ok(found >= part && found < part * 2 ** 0.25 * 1.001, `${part}: ${found}`);
  }
});

test('takes times that are too short, too long or none, and tells nothing of none', () => {
  const tally = new LatencyTally();
  for (const none of [-1, Number.NaN, Number.POSITIVE_INFINITY]) tally.observe(none);
  assert.equal(tally.quantile(0.5), undefined);
  tally.observe(0);
  assert.equal(tally.quantile(0.5), 0.0001);
  tally.observe(1e9);
  assert.ok((tally.quantile(1) ?? 0) > 100);
  tally.reset();
  assert.equal(tally.quantile(1), undefined);
});

test('counts what happened between two looks, a second', () => {
  const activity = new Activity();
  activity.putStored(30, 1000, 0.2);
  activity.lookupAnswered(5, 0.002);
  const { recordsPerS, bytesPerS, answersPerS, putS } = activity.take(10);
  assert.deepEqual([recordsPerS, bytesPerS, answersPerS], [3, 100, 0.5]);
  assert.ok(putS !== undefined && putS.median >= 0.2 && putS.median < 0.24);
  assert.partialDeepStrictEqual(activity.take(10), { recordsPerS: 0, answersPerS: 0 });
});

test('keeps the newest samples and no more, and says where there was nothing to tell', () => {
  const history = new ShardHistory(3);
  const activity = new Activity();
  for (let second = 1; second <= 5; second += 1) {
    activity.putStored(second, 0, 0.1);
    history.add(activity.take(1), second === 4 ? [] : [{ queue: 'put', state: 'waiting', count: second * 10 }]);
  }
  const { recordsPerS, lookupP99S, waitingPuts } = history.series;
  assert.deepEqual(
    [recordsPerS, lookupP99S, waitingPuts],
    [
      [3, 4, 5],
      [null, null, null],
      [30, null, 50],
    ],
  );
  assert.equal(history.newest('put', 'waiting'), 50);
  assert.equal(history.newest('put', 'failed'), null);
});
