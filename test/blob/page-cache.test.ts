import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cachedNumberMax, PageCache } from '../../src/blob/page-cache.ts';

function numbered(number: number): Buffer {
  return Buffer.from([number]);
}

/** The page of a key, copied. */
function pageIn(cache: PageCache, key: number): Buffer | undefined {
  const frame = cache.find(0, key);
  if (frame < 0) return undefined;
  const start = cache.startOf(frame);
  return Buffer.from(cache.memoryOf(frame).subarray(start, start + cache.sizeOf(frame)));
}

function foundIn(cache: PageCache, keys: readonly number[]): (number | undefined)[] {
  return keys.map((key) => pageIn(cache, key)?.[0]);
}

test('a page is missed, then found, then replaced', () => {
  const cache = new PageCache(4, 10);
  assert.equal(pageIn(cache, 7), undefined);
  cache.put(0, 7, numbered(1));
  assert.deepEqual(pageIn(cache, 7), numbered(1));
  cache.put(0, 7, Buffer.from([2, 3, 4, 5]));
  assert.deepEqual(pageIn(cache, 7), Buffer.from([2, 3, 4, 5]));
});

test('what is put is copied', () => {
  const cache = new PageCache(1, 1);
  const page = numbered(1);
  cache.put(0, 0, page);
  page[0] = 2;
  assert.deepEqual(pageIn(cache, 0), numbered(1));
});

test('a page that was used since the hand passed stays, one that was not makes room', () => {
  const cache = new PageCache(1, 3);
  for (const key of [0, 1, 2]) cache.put(0, key, numbered(key));
  cache.put(0, 3, numbered(3));
  assert.deepEqual(foundIn(cache, [0, 1, 2, 3]), [undefined, 1, 2, 3]);
  for (const key of [4, 5, 6]) cache.put(0, key, numbered(key));
  assert.deepEqual(foundIn(cache, [4, 5, 6]), [4, 5, 6]);
  cache.put(0, 7, numbered(7));
  cache.find(0, 5);
  cache.put(0, 8, numbered(8));
  assert.equal(pageIn(cache, 5)?.[0], 5);
});

test('never holds more than it may, over many chunks of memory', () => {
  const cache = new PageCache(2, 150);
  for (let key = 0; key < 1000; key++) cache.put(0, key, Buffer.from([key % 256, key >> 8]));
  const found = Array.from({ length: 1000 }, (_, key) => key).filter((key) => pageIn(cache, key) !== undefined);
  assert.equal(found.length, 150);
  for (const key of found) assert.deepEqual(pageIn(cache, key), Buffer.from([key % 256, key >> 8]));
});

test('pages with numbers near the largest are told apart', () => {
  const cache = new PageCache(1, 4);
  const places = [
    [0, cachedNumberMax],
    [cachedNumberMax, 0],
    [cachedNumberMax, cachedNumberMax],
  ] as const;
  for (const [number, [section, page]] of places.entries()) cache.put(section, page, numbered(number));
  const frames = places.map(([section, page]) => cache.find(section, page));
  assert.deepEqual(
    frames.map((frame) => cache.memoryOf(frame)[cache.startOf(frame)]),
    [0, 1, 2],
  );
  assert.throws(() => cache.put(0, cachedNumberMax + 1, numbered(0)));
});

test('finds what a map would find, whatever makes room for what', () => {
  const cache = new PageCache(2, 100);
  const written = new Map<number, number>();
  let state = 1;
  const random = (below: number): number => {
    state = Math.imul(state, 1_103_515_245) + 12_345;
    return (state >>> 8) % below;
  };
  for (let step = 0; step < 20_000; step++) {
    const key = random(120) * 40_503;
    if (random(2) === 0) {
      cache.put(0, key, Buffer.from([step % 256, (step >> 8) % 256]));
      written.set(key, step % 65_536);
    } else {
      const page = pageIn(cache, key);
      if (page !== undefined) assert.equal(page.readUInt16LE(0), written.get(key));
    }
    if (cache.free === 0 && step % 50 === 0) {
      const found = [...written.keys()].filter((written) => cache.has(0, written));
      assert.equal(found.length, 100, `pages that are found after ${step} steps`);
    }
  }
  assert.equal(cache.free, 0);
});
