import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mixSeed, Random } from './random.ts';

test('the same seed gives the same numbers, on every machine and in every version', () => {
  const random = new Random(1);
  const numbers = [random.u32(), random.u32(), random.below(1000), random.bytes(5).toString('hex')];
  assert.deepEqual(numbers, [2468191247, 3249708103, 707, '53c09a7d07']);
});

test('neighbouring seeds give numbers that have nothing to do with each other', () => {
  const first = new Set(Array.from({ length: 10_000 }, (_, seed) => new Random(seed).u32()));
  assert.ok(first.size > 9_990, `${first.size} first numbers`);
  const mixed = new Set(Array.from({ length: 10_000 }, (_, part) => mixSeed(1, part >> 5, part & 31)));
  assert.ok(mixed.size > 9_990, `${mixed.size} mixed seeds`);
  assert.notEqual(mixSeed(1, 2), mixSeed(2, 1));
  assert.notEqual(mixSeed(0), mixSeed(0, 0));
});

test('numbers below a limit reach all of them and never the limit, about equally often', () => {
  const random = new Random(2);
  const counts = new Array<number>(10).fill(0);
  for (let round = 0; round < 10_000; round++) {
    const number = random.below(10);
    counts[number] = (counts[number] ?? Number.NaN) + 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join());
  assert.deepEqual(new Set(Array.from({ length: 200 }, () => random.between(3, 5))), new Set([3, 4, 5]));
});

test('chances are met as often as they say', () => {
  const random = new Random(3);
  const met = Array.from({ length: 10_000 }, () => random.chance(0.2)).filter(Boolean).length;
  assert.ok(met > 1800 && met < 2200, `${met}`);
  assert.equal(random.chance(0), false);
  assert.equal(random.chance(1), true);
});

test('a shuffled list has the same items, and every order comes up', () => {
  const random = new Random(4);
  const orders = new Set(Array.from({ length: 200 }, () => random.shuffled(['a', 'b', 'c']).join('')));
  assert.deepEqual([...orders].sort(), ['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
});

test('a pick is one of the items, and there must be one', () => {
  const random = new Random(5);
  assert.deepEqual(new Set(Array.from({ length: 100 }, () => random.pick([1, 2, 3]))), new Set([1, 2, 3]));
  assert.throws(() => random.pick([]), RangeError);
});

test('a forked generator gives the same numbers however many its parent gives', () => {
  const numbers = [0, 5].map((count) => {
    const parent = new Random(6);
    const child = parent.fork();
    for (let drawn = 0; drawn < count; drawn++) parent.u32();
    return child.u32();
  });
  assert.equal(numbers[0], numbers[1]);
});

test('bytes are random in every place', () => {
  const seen = Array.from({ length: 7 }, () => new Set<number>());
  const random = new Random(7);
  for (let round = 0; round < 3000; round++) {
    for (const [place, byte] of random.bytes(7).entries()) seen[place]?.add(byte);
  }
  for (const values of seen) assert.equal(values.size, 256);
});
