/** Hazards H11 and H12: settings of another store, and settings at the edge. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { Freezer } from '../../../src/freezer/freezer.ts';
import { SimulatedDisk } from '../../simulation/simulated-disk.ts';
import {
  assertSame,
  checkReads,
  diskOf,
  entriesOf,
  judge,
  keyOf,
  makeStore,
  putsOf,
  type Settings,
  startsOf,
  storeSettings,
  valueFor,
} from './small-store.ts';

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('H11: a store of 20 records opened with settings of another', () => {
  const cases: readonly { readonly name: string; readonly changes: Partial<Settings>; readonly original: string }[] = [
    {
      name: 'page size',
      changes: { keyPageCache: { pageSize: 128, pages: 4 } },
      original: 'cut both journals to nothing',
    },
    { name: 'key partition', changes: { keyPartition: 'other' }, original: 'deleted every value section' },
    { name: 'key size', changes: { keySize: 16 }, original: 'cut records and values' },
    { name: 'compression', changes: { valueCompression: 3 }, original: 'opened and failed the reads' },
  ];
  for (const { name, changes, original } of cases) {
    test(`is refused unchanged for the ${name}, where the original ${original}; the right settings open it`, async () => {
      const store = await makeStore([{ sync: putsOf(...numbers(1, 20)) }]);
      for (const way of startsOf(store)) {
        const disk = diskOf(store);
        await assert.rejects(Freezer.open(disk, { ...store.settings, ...changes }, way.start));
        assertSame(store.files, disk);
        assert.deepEqual(await judge(disk, store.settings, way, 'right'), { kind: 'opened', failed: 0 });
      }
    });
  }
});

describe('H12: settings out of range', () => {
  const bad: readonly Partial<Settings>[] = [
    ...[0, 255, 256, -1, 1.5, Number.NaN].map((tableResizeFrequency) => ({ tableResizeFrequency })),
    ...[0, -1, 2 ** 32].map((tableResizeChunkSize) => ({ tableResizeChunkSize })),
    ...[0, 3, 6, -2, 2 ** 32, 0.5].map((tableInitialSize) => ({ tableInitialSize })),
    ...[0, -1, Number.POSITIVE_INFINITY].map((valueTargetSize) => ({ valueTargetSize })),
    ...[0, 65_536].map((pageSize) => ({ keyPageCache: { pageSize, pages: 4 } })),
    ...[0, 65_536].map((keySize) => ({ keySize })),
    { valueCompression: 23 },
    { keyPartition: 'value' },
    { keyPartition: 'a/b' },
    { tablePartition: '' },
  ];
  test('are refused by name, with the range, before the disk is touched', async () => {
    for (const changes of bad) {
      const disk = new SimulatedDisk();
      await assert.rejects(Freezer.open(disk, { ...storeSettings, ...changes }, { kind: 'create' }), {
        code: 'invalid-settings',
      });
      assert.equal(disk.steps, 0);
    }
  });

  test('end at a frequency of 254, which counts a bucket once however many puts it gets', async () => {
    const settings: Settings = { ...storeSettings, tableResizeFrequency: 254, tableInitialSize: 4 };
    const disk = new SimulatedDisk();
    const freezer = await Freezer.open(disk, settings, { kind: 'create' });
    const oneBucket = numbers(1, 4000)
      .filter((key) => (crc32c(keyOf(key)) & 3) === 0)
      .slice(0, 300);
    await freezer.putMany(entriesOf(putsOf(...oneBucket)));
    assert.equal(freezer.resizable, 1);
    for (let idle = 0; idle < 3; idle++) await freezer.sync();
    assert.equal(freezer.tableSize, 4, 'one of four buckets is not worth a resize');
    const checkpoint = await freezer.close();
    const again = await Freezer.open(disk, settings, { kind: 'checkpoint', checkpoint });
    assert.equal(again.resizable, 1);
    await again.release();
  });

  test('do not include one bucket and chunks of one: the table grows from 1, and close ends', async () => {
    const settings: Settings = {
      ...storeSettings,
      tableInitialSize: 1,
      tableResizeFrequency: 1,
      tableResizeChunkSize: 1,
    };
    const disk = new SimulatedDisk();
    const freezer = await Freezer.open(disk, settings, { kind: 'create' });
    assert.equal((await freezer.sync()).tableSize, 2, 'the threshold of one bucket is 0');
    for (const key of numbers(1, 30)) {
      await freezer.put(keyOf(key), valueFor(key));
      await freezer.sync();
    }
    const checkpoint = await freezer.close();
    const again = await Freezer.open(disk, settings, { kind: 'checkpoint', checkpoint });
    await checkReads(again, new Map(numbers(1, 30).map((key) => [key, [valueFor(key)]])), 'right');
    await again.release();
  });

  test('do not include a target of one byte: each record has a section, from section 0 on', async () => {
    const settings: Settings = { ...storeSettings, valueTargetSize: 1 };
    const freezer = await Freezer.open(new SimulatedDisk(), settings, { kind: 'create' });
    const appended = await freezer.putMany(entriesOf(putsOf(1, 2, 3)));
    assert.deepEqual(
      appended.map(({ position }) => position.section),
      [0, 1, 2],
    );
    await freezer.close();
  });
});
