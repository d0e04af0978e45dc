import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, grouped, median, percentile } from '../../bench/numbers.ts';
import { aligned } from '../../bench/text-table.ts';

test('median and percentile are those of the sorted numbers', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3]), median([])], [2, 2.5, 0]);
  assert.deepEqual([percentile([5, 1, 9], 1), percentile([5, 1, 9], 0)], [9, 1]);
});

test('large numbers are grouped, small ones keep two decimals', () => {
  assert.deepEqual([grouped(1_234_567.8), fixed(1.234), fixed(1234.5)], ['1,234,568', '1.23', '1,235']);
});

test('a table has columns of equal width, rows may be short', () => {
  assert.deepEqual(aligned([['', 'one'], ['a row', '1'], ['short']]), ['       one', 'a row    1', 'short']);
});
