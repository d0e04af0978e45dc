import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newestVersion } from '../../src/client/newest-version.ts';
import type { LookupResult } from '../../src/protocol/reply.ts';

const missing: LookupResult = { key: 'a', outcome: 'missing' };
const old: LookupResult = { key: 'a', outcome: 'found', time: 1, put: 'p9/000000' };
const young: LookupResult = { key: 'a', outcome: 'found', time: 2, put: 'p1/000000' };

/** What several homes come to, in whatever order they answer. */
function said(...results: readonly LookupResult[]): LookupResult | undefined {
  const forwards = newestVersion(results);
  assert.deepEqual(newestVersion(results.toReversed()), forwards);
  return forwards;
}

test('the version that was archived last wins, and of one time the greater put id', () => {
  assert.equal(said(old, young), young);
  assert.equal(said(missing, old), old);
  const twin = { ...young, put: 'p2/000000' };
  assert.equal(said(young, twin, old), twin);
});

test('nothing is missing before all homes have said so', () => {
  assert.deepEqual(said(missing, { ...missing }), missing);
  for (const outcome of ['unavailable', 'expired', 'corrupt'] as const) {
    assert.equal(said(missing, { key: 'a', outcome })?.outcome, outcome);
  }
});

test('a home that does not know may hold a newer version than the one that was found', () => {
  for (const outcome of ['unavailable', 'expired', 'corrupt'] as const) {
    assert.equal(said(young, { key: 'a', outcome })?.outcome, outcome);
  }
});

test('a version that did not fit is asked for again if it is the newest, or might be', () => {
  assert.equal(said(old, { ...young, outcome: 'too-large' })?.outcome, 'too-large');
  assert.equal(said(young, { ...old, outcome: 'too-large' }), young);
  assert.equal(said(young, { key: 'a', outcome: 'too-large' })?.outcome, 'too-large');
});

test('one home speaks for itself', () => {
  assert.equal(newestVersion([young]), young);
  assert.equal(newestVersion([]), undefined);
});
