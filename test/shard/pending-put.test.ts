import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cursor } from '../../src/freezer/cursor.ts';
import { PendingPut } from '../../src/shard/pending-put.ts';
import type { RecordPlan } from '../../src/shard/put-plan.ts';
import { put } from './shard-harness.ts';

function plansAt(...cursors: readonly Cursor[]): RecordPlan[] {
  return cursors.map((cursor) => ({ outcome: 'kept', on: { cursor } }));
}

describe('a put is covered', () => {
  test('when the last of its records is, whatever their order and sections', () => {
    const pending = new PendingPut(put('p1', { a: '1', b: '2' }), 0);
    pending.appended(plansAt({ section: 1, offset: 0, size: 20 }, { section: 0, offset: 500, size: 20 }));
    assert.equal(pending.isCovered({ section: 0, keyBytes: 100, valueBytes: 520 }), false);
    assert.equal(pending.isCovered({ section: 1, keyBytes: 20, valueBytes: 19 }), false);
    assert.equal(pending.isCovered({ section: 1, keyBytes: 20, valueBytes: 20 }), true);
  });

  test('by where it was appended last, not by where an instance had it that was given up', () => {
    const pending = new PendingPut(put('p1', { a: '1' }), 0);
    pending.appended(plansAt({ section: 0, offset: 0, size: 20 }));
    assert.equal(pending.isCovered({ section: 0, keyBytes: 0, valueBytes: 0 }), false);
    pending.repeat();
    pending.appended(plansAt({ section: 0, offset: 40, size: 20 }));
    assert.equal(pending.isCovered({ section: 0, keyBytes: 20, valueBytes: 20 }), false);
    assert.equal(pending.isCovered({ section: 0, keyBytes: 60, valueBytes: 60 }), true);
  });
});
