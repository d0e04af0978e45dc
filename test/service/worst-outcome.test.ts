import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookupOutcomes } from '../../src/protocol/reply.ts';
import { worstOutcome } from '../../src/service/worst-outcome.ts';

test('a lookup is told by the worst of its answers, in whatever order they came', () => {
  assert.equal(worstOutcome([]), 'found');
  for (const outcome of lookupOutcomes) {
    assert.equal(worstOutcome([outcome]), outcome);
    assert.equal(worstOutcome(['found', outcome]), outcome);
    assert.equal(worstOutcome([outcome, 'corrupt', 'found']), 'corrupt');
  }
  assert.equal(worstOutcome(['missing', 'expired', 'too-large']), 'expired');
  assert.equal(worstOutcome(['expired', 'unavailable', 'invalid']), 'unavailable');
});
