import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Latencies } from '../../src/cli/latencies.ts';

test('quantiles are known to 5 percent from a microsecond to minutes', () => {
  for (const scale of [0.01, 1, 1000]) {
    const latencies = new Latencies();
    for (let n = 1; n <= 1000; n++) latencies.add(n * scale);
    for (const share of [0.01, 0.5, 0.99, 1]) {
      const exact = share * 1000 * scale;
      const found = latencies.quantileMs(share);
      assert.ok(found >= exact * 0.999 && found <= exact * 1.05, `${share} of ${scale}: ${found}`);
    }
    assert.equal(latencies.maxMs, 1000 * scale);
  }
});

test('none at all is 0, and out of range is kept at the ends', () => {
  const latencies = new Latencies();
  assert.equal(latencies.quantileMs(0.5), 0);
  latencies.add(0);
  assert.equal(latencies.quantileMs(1), 0);
  latencies.add(1e12);
  assert.equal(latencies.maxMs, 1e12);
  assert.equal(latencies.count, 2);
});
