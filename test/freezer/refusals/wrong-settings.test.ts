/** Settings that are part of the format, and are not those that the store was made with. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { Freezer } from '../../../src/freezer/freezer.ts';
import {
  assertSame,
  assertTyped,
  diskOf,
  judge,
  makeStore,
  newest,
  type Settings,
  startsOf,
} from '../hazards/small-store.ts';
import { stores } from './stores.ts';

const wrong: readonly { readonly name: string; readonly change: (settings: Settings) => Partial<Settings> }[] = [
  ...[1, 32, 36, 63, 65, 72, 128, 4096, 65_535].map((pageSize) => ({
    name: `page size ${pageSize}`,
    change: () => ({ keyPageCache: { pageSize, pages: 16 } }),
  })),
  ...[1, 4, 7, 9, 16, 32, 44, 80, 116, 152, 65_535].map((keySize) => ({
    name: `key size ${keySize}`,
    change: () => ({ keySize }),
  })),
  { name: 'another key partition', change: () => ({ keyPartition: 'keys' }) },
  { name: 'another value partition', change: () => ({ valuePartition: 'values' }) },
  { name: 'another table partition', change: () => ({ tablePartition: 'tables' }) },
  { name: 'key and value partition exchanged', change: () => ({ keyPartition: 'value', valuePartition: 'key' }) },
  { name: 'key and table partition exchanged', change: () => ({ keyPartition: 'table', tablePartition: 'key' }) },
  { name: 'value and table partition exchanged', change: () => ({ valuePartition: 'table', tablePartition: 'value' }) },
  { name: 'key partition for two', change: () => ({ valuePartition: 'key' }) },
  {
    name: 'compression the other way',
    change: ({ valueCompression }) => ({ valueCompression: valueCompression === undefined ? 3 : undefined }),
  },
];

for (const { name, store } of stores) {
  if (store.end.keyBytes === 0) continue;
  describe(`${name} is refused unchanged with`, () => {
    for (const { name: what, change } of wrong) {
      for (const way of startsOf(store)) {
        test(`${what}, by ${way.name}`, async () => {
          const disk = diskOf(store);
          const settings = { ...store.settings, ...change(store.settings) };
          await assert.rejects(Freezer.open(disk, settings, way.start), (error) => {
            assertTyped(error);
            return true;
          });
          assertSame(store.files, disk);
          assert.deepEqual(disk.openHandles, []);
          assert.equal((await judge(disk, store.settings, way, 'right')).kind, 'opened', 'the right settings still do');
        });
      }
    }
  });
}

test('one record, read with a key size that makes two of it, is refused by every start', async () => {
  const store = await makeStore([{ sync: [1, 2].map((key) => ({ key, value: Buffer.alloc(5, key) })) }]);
  for (const way of startsOf(store)) {
    const disk = diskOf(store);
    await assert.rejects(Freezer.open(disk, { ...store.settings, keySize: 44 }, way.start));
    assertSame(store.files, disk);
  }
});

test('compressed values that also read as plain ones are told apart from them', async () => {
  // A zstd frame starts with 0x28, which is the length 40 of a plain value; 31 bytes that do not compress make one.
  const puts = [1, 2, 3].map((key) => ({ key, value: randomBytes(31) }));
  const store = await makeStore([{ sync: puts }], { valueCompression: 3 });
  for (const way of startsOf(store)) {
    const disk = diskOf(store);
    const plain = { ...store.settings, valueCompression: undefined };
    await assert.rejects(Freezer.open(disk, plain, way.start), { code: 'invalid-settings' });
    assertSame(store.files, disk);
  }
});

test('another compression level reads every value', async () => {
  const compressed = stores.find(({ store }) => store.settings.valueCompression !== undefined);
  assert.ok(compressed !== undefined);
  for (const level of [1, 19]) {
    for (const way of startsOf(compressed.store)) {
      const settings: Settings = { ...compressed.store.settings, valueCompression: level };
      assert.equal((await judge(diskOf(compressed.store), settings, way, 'right')).kind, 'opened');
    }
  }
});

test('an existing store is not created over', async () => {
  for (const { store } of stores) {
    if (store.end.keyBytes === 0) continue;
    const disk = diskOf(store);
    await assert.rejects(Freezer.open(disk, store.settings, { kind: 'create' }), (error) => {
      assertTyped(error);
      return true;
    });
    assertSame(store.files, disk);
    const nothing = { ...newest(store).checkpoint, epoch: 0, section: 0, keyBytes: 0, tableSize: 0 };
    await assert.rejects(Freezer.open(disk, store.settings, { kind: 'checkpoint', checkpoint: nothing }));
    assertSame(store.files, disk);
  }
});
