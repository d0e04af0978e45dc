import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageCache } from '../../src/blob/page-cache.ts';

function numbered(number: number): Buffer {
  return Buffer.from([number]);
}

test('a page is missed, then found, then replaced', () => {
  const cache = new PageCache(10);
  assert.equal(cache.get(7), undefined);
  cache.put(7, numbered(1));
  assert.deepEqual(cache.get(7), numbered(1));
  cache.put(7, numbered(2));
  assert.deepEqual(cache.get(7), numbered(2));
});

test('the page that was used longest ago makes room', () => {
  const cache = new PageCache(3);
  for (const key of [0, 1, 2]) cache.put(key, numbered(key));
  cache.get(0);
  cache.put(3, numbered(3));
  assert.equal(cache.get(1), undefined);
  assert.deepEqual(
    [0, 2, 3].map((key) => cache.get(key)),
    [numbered(0), numbered(2), numbered(3)],
  );
});

test('putting a page again counts as using it', () => {
  const cache = new PageCache(2);
  cache.put(0, numbered(0));
  cache.put(1, numbered(1));
  cache.put(0, numbered(9));
  cache.put(2, numbered(2));
  assert.deepEqual([cache.get(0), cache.get(1)], [numbered(9), undefined]);
});

test('pages with numbers near the largest are told apart', () => {
  const cache = new PageCache(4);
  const section = 2 ** 20 * 2 ** 32;
  cache.put(section, numbered(1));
  cache.put(section + 2 ** 32 - 1, numbered(2));
  assert.deepEqual([cache.get(section), cache.get(section + 2 ** 32 - 1)], [numbered(1), numbered(2)]);
});

test('a cleared cache is empty', () => {
  const cache = new PageCache(4);
  cache.put(1, numbered(1));
  cache.clear();
  assert.equal(cache.get(1), undefined);
});
