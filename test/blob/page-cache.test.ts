import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageCache } from '../../src/blob/page-cache.ts';

function numbered(number: number): Buffer {
  return Buffer.from([number]);
}

function foundIn(cache: PageCache, keys: readonly number[]): (number | undefined)[] {
  return keys.map((key) => cache.get(key)?.[0]);
}

test('a page is missed, then found, then replaced', () => {
  const cache = new PageCache(4, 10);
  assert.equal(cache.get(7), undefined);
  cache.put(7, numbered(1));
  assert.deepEqual(cache.get(7), numbered(1));
  cache.put(7, Buffer.from([2, 3, 4, 5]));
  assert.deepEqual(cache.get(7), Buffer.from([2, 3, 4, 5]));
});

test('what is put is copied', () => {
  const cache = new PageCache(1, 1);
  const page = numbered(1);
  cache.put(0, page);
  page[0] = 2;
  assert.deepEqual(cache.get(0), numbered(1));
});

test('a page that was used since the hand passed stays, one that was not makes room', () => {
  const cache = new PageCache(1, 3);
  for (const key of [0, 1, 2]) cache.put(key, numbered(key));
  cache.put(3, numbered(3));
  assert.deepEqual(foundIn(cache, [0, 1, 2, 3]), [undefined, 1, 2, 3]);
  for (const key of [4, 5, 6]) cache.put(key, numbered(key));
  assert.deepEqual(foundIn(cache, [4, 5, 6]), [4, 5, 6]);
  cache.put(7, numbered(7));
  cache.get(5);
  cache.put(8, numbered(8));
  assert.equal(cache.get(5)?.[0], 5);
});

test('never holds more than it may, over many chunks of memory', () => {
  const cache = new PageCache(2, 150);
  for (let key = 0; key < 1000; key++) cache.put(key, Buffer.from([key % 256, key >> 8]));
  const found = Array.from({ length: 1000 }, (_, key) => key).filter((key) => cache.get(key) !== undefined);
  assert.equal(found.length, 150);
  for (const key of found) assert.deepEqual(cache.get(key), Buffer.from([key % 256, key >> 8]));
});

test('pages with numbers near the largest are told apart', () => {
  const cache = new PageCache(1, 4);
  const section = 2 ** 20 * 2 ** 32;
  cache.put(section, numbered(1));
  cache.put(section + 2 ** 32 - 1, numbered(2));
  assert.deepEqual(foundIn(cache, [section, section + 2 ** 32 - 1]), [1, 2]);
});
