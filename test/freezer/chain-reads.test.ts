import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChainReads, chainReadBounds } from '../../src/freezer/chain-reads.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

/** Keys by the bound of their reads, where there are any, and the reads of all. */
function seen({ counts }: ChainReads): readonly unknown[] {
  const bounds = [...chainReadBounds, 'more'];
  const keys = counts.keyCounts.flatMap((count, index) => (count === 0 ? [] : [`${bounds[index]}: ${count}`]));
  return [...keys, counts.readCount];
}

async function oneBucket(...names: readonly string[]): Promise<Freezer<number>> {
  const settings = { ...namedSettings, tableInitialSize: 1 };
  const freezer = await Freezer.open(new SimulatedDisk(), settings, { kind: 'create' });
  for (const [value, name] of names.entries()) await freezer.put(key(name), value);
  return freezer;
}

test('reads are counted by the first bound that is not less, those beyond all bounds together', () => {
  const reads = new ChainReads();
  assert.deepEqual(seen(reads), [0]);
  for (const readCount of [0, 0, 1, 1, 1, 4, 5, 90, 90]) reads.add(readCount);
  assert.deepEqual(seen(reads), ['0: 2', '1: 3', '5: 2', 'more: 2', 3 + 4 + 5 + 180]);
});

test('an empty bucket takes no read, the newest key of a chain one, the oldest and a missing one all of them', async () => {
  const none = await oneBucket();
  assert.equal(await none.get({ key: key('a') }), undefined);
  assert.deepEqual(none.counters.chainReads, { keyCounts: [1, ...chainReadBounds.map(() => 0)], readCount: 0 });
  await none.release();
  const freezer = await oneBucket('a', 'b', 'c', 'd');
  const countsOf = async (ask: () => Promise<unknown>): Promise<number> => {
    const before = freezer.counters.chainReads.readCount;
    await ask();
    return freezer.counters.chainReads.readCount - before;
  };
  assert.equal(await countsOf(() => freezer.get({ key: key('d') })), 1);
  assert.equal(await countsOf(() => freezer.get({ key: key('c') })), 2);
  assert.equal(await countsOf(() => freezer.get({ key: key('a') })), 4);
  assert.equal(await countsOf(() => freezer.has(key('missing'))), 4);
  assert.deepEqual(freezer.counters.chainReads.keyCounts.slice(0, 5), [0, 1, 1, 0, 2]);
  await freezer.release();
});

test('keys that are looked up together count each for itself, and a cursor does not count', async () => {
  const freezer = await oneBucket('a', 'b');
  const cursor = await freezer.put(key('c'), 2);
  const names = ['a', 'b', 'c', 'c', 'missing'];
  const asked = [...names.map((name) => ({ key: key(name) })), { cursor }];
  assert.deepEqual(await freezer.getMany(asked), [0, 1, 2, 2, undefined, 2]);
  const { keyCounts, readCount } = freezer.counters.chainReads;
  assert.deepEqual([keyCounts.slice(0, 4), readCount], [[0, 2, 1, 2], 3 + 2 + 1 + 1 + 3]);
  await freezer.release();
});
