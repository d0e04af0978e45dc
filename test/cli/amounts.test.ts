import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countText, durationText, sizeText } from '../../src/cli/amounts.ts';

test('sizes have the largest unit that leaves a whole number before the point', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 10 * 1024, 1024 ** 2, 5 * 1024 ** 4].map(sizeText), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '10 KiB',
    '1.0 MiB',
    '5.0 TiB',
  ]);
});

test('counts are grouped by thousands', () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(countText), ['0', '999', '1,000', '1,234,567']);
});

test('durations are told in the unit that people use for them', () => {
  assert.deepEqual([0, 0.83, 4.25, 999.7, 4200, 59_970, 185_000, 7_800_000].map(durationText), [
    '0 ms',
    '830 µs',
    '4.3 ms',
    '1.0 s',
    '4.2 s',
    '1 min 0 s',
    '3 min 5 s',
    '2 h 10 min',
  ]);
});
