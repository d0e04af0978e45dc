/** Hazards H13, H14 and H17 to H24: rot, interrupted creations, stray names, orphans, loops, old cursors. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlobError } from '../../../src/blob/blob-error.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { writeU64 } from '../../../src/codec/integer.ts';
import type { Cursor } from '../../../src/freezer/cursor.ts';
import { Freezer } from '../../../src/freezer/freezer.ts';
import { SimulatedDisk } from '../../simulation/simulated-disk.ts';
import {
  assertSame,
  assertTyped,
  checkReads,
  diskOf,
  type Expected,
  entriesOf,
  fileOf,
  keyOf,
  makeStore,
  newest,
  putsOf,
  type SmallStore,
  startsOf,
  storeSettings,
  tampered,
  valueFor,
} from './small-store.ts';

const table = 'table/7461626c65';
const keyFile = 'key/0000000000000000';
const valueFile = 'value/0000000000000000';
const pageSize = 64;
const physicalSize = pageSize + 12;
const recordSize = 36;
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const expectedOf = (...keys: number[]): Expected => new Map(keys.map((key) => [key, [valueFor(key)]]));

function flip(bytes: Buffer, offset: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(offset) ^ 1, offset);
  return copy;
}

describe('H13: a flipped bit in a value', () => {
  test('fails the gets of that key with its place, and no others', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 6)) }]);
    const second = 1 + valueFor(1).length + 4;
    for (const { start } of startsOf(store)) {
      const disk = tampered(store, (files) => files.set(valueFile, flip(fileOf(files, valueFile), 8 + second + 2)));
      const freezer = await Freezer.open(disk, store.settings, start);
      await checkReads(freezer, expectedOf(1, 3, 4, 5, 6), 'right');
      const [lookup] = await freezer.lookupMany([{ key: keyOf(2) }]);
      assert.ok(lookup?.kind === 'failed' && lookup.error instanceof BlobError);
      assert.equal(lookup.error.code, 'corruption');
      assert.equal(lookup.error.details.file, valueFile);
      assert.equal(lookup.error.details.offset, 8 + second);
      assert.equal(await freezer.has(keyOf(2)), true, 'has reads no value');
      await freezer.release();
    }
  });
});

describe('H14: a bad page in the middle of the key journal', () => {
  test('fails the keys whose chains pass it with file, offset, expected and found, and no others; none is missing', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 20)) }], { tableInitialSize: 64 });
    const disk = tampered(store, (files) => files.set(keyFile, flip(fileOf(files, keyFile), 8 + 4 * physicalSize + 5)));
    // Page 4 has parts of records 7 and 8, and each key has a bucket of its own, or a neighbour.
    const { start } = startsOf(store)[0] ?? assert.fail();
    const freezer = await Freezer.open(disk, store.settings, start);
    const lookups = await freezer.lookupMany(numbers(1, 20).map((key) => ({ key: keyOf(key) })));
    const failed = lookups.flatMap((lookup, index) => (lookup.kind === 'failed' ? [index + 1] : []));
    assert.ok(failed.includes(8) && failed.includes(9) && failed.length < 6, `failed: ${failed}`);
    for (const [index, lookup] of lookups.entries()) {
      assert.notEqual(lookup.kind, 'missing', `key ${index + 1}`);
      if (lookup.kind !== 'failed') continue;
      assert.ok(lookup.error instanceof BlobError);
      const { file, offset } = lookup.error.details;
      assert.deepEqual({ file, offset }, { file: keyFile, offset: 8 + 4 * physicalSize });
      assertTyped(lookup.error);
    }
    const expected = expectedOf(...numbers(1, 20).filter((key) => !failed.includes(key)));
    await checkReads(freezer, expected, 'right');
    await freezer.release();
  });
});

describe('H17: an interrupted creation', () => {
  test('of any file, at any step, leaves a store that opens', async () => {
    for (let step = 1; ; step++) {
      const disk = new SimulatedDisk();
      const freezer = await Freezer.open(disk, storeSettings, { kind: 'create' });
      const checkpoint = await freezer.sync();
      disk.failAt(disk.steps + step, 'crash');
      const failure = await freezer.put(keyOf(1), valueFor(1)).then(
        () => undefined,
        (error: unknown) => error,
      );
      await freezer.release().catch(() => {});
      if (failure === undefined) {
        assert.ok(step > 6, 'both files were made');
        return;
      }
      for (const survival of ['all', 'synced', 'allDurable', ...numbers(1, 12).map((seed) => ({ seed }))] as const) {
        for (const kind of ['checkpoint', 'roll-forward'] as const) {
          const after = disk.crash(survival);
          const again = await Freezer.open(after, storeSettings, { kind, checkpoint });
          await again.put(keyOf(2), valueFor(2));
          await again.close();
        }
      }
    }
  });

  test('of a table, at any step, is begun anew', async () => {
    for (let step = 0; ; step++) {
      const disk = new SimulatedDisk();
      disk.failAt(step, 'crash');
      const failure = await Freezer.open(disk, storeSettings, { kind: 'create' }).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined && step > 0) return;
      for (const survival of ['all', 'synced', 'allDurable', ...numbers(1, 12).map((seed) => ({ seed }))] as const) {
        const again = await Freezer.open(disk.crash(survival), storeSettings, { kind: 'create' });
        await again.put(keyOf(2), valueFor(2));
        await again.close();
      }
    }
  });

  for (const size of [0, 1, 7, 8]) {
    test(`that left ${size} zero bytes for the next section is no error, where the original never opened again`, async () => {
      const store = await makeStore([{ sync: putsOf(1, 2) }]);
      for (const kind of ['checkpoint', 'roll-forward'] as const) {
        const disk = tampered(store, (files) => {
          files.set('key/0000000000000001', Buffer.alloc(size));
          files.set('value/0000000000000001', Buffer.alloc(size));
        });
        const { checkpoint } = newest(store);
        const freezer = await Freezer.open(disk, { ...store.settings, valueTargetSize: 1 }, { kind, checkpoint });
        await freezer.putMany(entriesOf(putsOf(3, 4)));
        await checkReads(freezer, expectedOf(1, 2, 3, 4), 'right');
        await freezer.close();
      }
    });
  }
});

describe('H18: a stray name in a directory of sections', () => {
  const names = [
    '000000000000000A',
    '00000000000000',
    '000000000000000000',
    '00',
    'zz',
    'lock',
    'x.tmp',
    '0000000000000001.tmp',
  ];
  for (const partition of ['key', 'value']) {
    for (const name of names) {
      test(`is refused and left alone: ${partition}/${name}`, async () => {
        const store = await makeStore([{ sync: putsOf(1, 2) }]);
        for (const { start } of startsOf(store)) {
          const disk = tampered(store, (files) => files.set(`${partition}/${name}`, Buffer.from('abc')));
          await refusedUnchanged(disk, store, `${partition}/${name}`, start);
        }
      });
    }

    test(`is refused and left alone when it is a directory: ${partition}`, async () => {
      const store = await makeStore([{ sync: putsOf(1, 2) }]);
      for (const section of [1, 2, 7]) {
        for (const { start } of startsOf(store)) {
          const disk = tampered(store, () => {});
          const name = `${partition}/000000000000000${section}`;
          await disk.makeDirectory(name);
          await refusedUnchanged(disk, store, name, start);
        }
      }
    });
  }

  async function refusedUnchanged(
    disk: SimulatedDisk,
    store: SmallStore,
    name: string,
    start: Parameters<typeof Freezer.open>[2],
  ): Promise<void> {
    const before = disk.snapshot();
    await assert.rejects(Freezer.open(disk, store.settings, start), (error) => {
      assertTyped(error);
      return error instanceof BlobError && error.code === 'corruption' && error.message.includes(name);
    });
    assertSame(before, disk);
    assert.deepEqual(disk.openHandles, []);
  }
});

describe('H19: values without a record', () => {
  test('are cut away before their section is used again', async () => {
    const store = await makeStore([{ sync: [] }]);
    const disk = tampered(store, (files) => files.set(valueFile, Buffer.concat([header, Buffer.alloc(40, 1)])));
    const freezer = await Freezer.open(disk, store.settings, {
      kind: 'roll-forward',
      checkpoint: newest(store).checkpoint,
    });
    assert.ok(!disk.files().includes(valueFile));
    assert.equal((await freezer.put(keyOf(1), valueFor(1))).offset, 0);
    await freezer.close();
  });
});

const header = Buffer.from('4357494300000000', 'hex');

describe('H20: two valid slots of one epoch', () => {
  async function doubled(): Promise<{ readonly store: SmallStore; readonly disk: () => SimulatedDisk }> {
    const store = await makeStore([{ sync: putsOf(1, 2, 3, 4, 5, 6) }], {
      tableInitialSize: 2,
      tableResizeFrequency: 254,
    });
    const bucketOfOne = (crc32c(keyOf(1)) & 1) * 58;
    const disk = (): SimulatedDisk =>
      tampered(store, (files) => {
        const bytes = Buffer.from(fileOf(files, table));
        bytes.copy(bytes, 8 + bucketOfOne + 29, 8 + bucketOfOne, 8 + bucketOfOne + 29);
        files.set(table, bytes);
      });
    return { store, disk };
  }

  test('are refused by the scan after a crash, before anything is built on one of them', async () => {
    const { store, disk } = await doubled();
    for (const kind of ['checkpoint', 'roll-forward'] as const) {
      const { checkpoint } = newest(store);
      await assert.rejects(Freezer.open(disk(), store.settings, { kind, checkpoint }), { code: 'corruption' });
    }
  });

  test('are an error, where the original aborted the process', async () => {
    const { store, disk: make } = await doubled();
    for (const { name, start } of startsOf(store)) {
      const disk = make();
      const before = disk.snapshot();
      const read = async (): Promise<void> => {
        const freezer = await Freezer.open(disk, store.settings, start);
        const [lookup] = await freezer.lookupMany([{ key: keyOf(1) }]);
        await assert.rejects(freezer.put(keyOf(1), valueFor(7)), { code: 'corruption' });
        await freezer.release();
        if (lookup?.kind === 'failed') throw lookup.error;
      };
      await assert.rejects(read(), { code: 'corruption' }, name);
      assertSame(before, disk);
    }
  });
});

describe('H21: a chain that does not go backwards', () => {
  /** Makes a record of the key journal name another next record, with checksums that match. */
  function forged(bytes: Buffer, next: { section: number; position: number }, record = 1): Buffer {
    const copy = Buffer.from(bytes);
    const payload = (offset: number): number => 8 + Math.floor(offset / pageSize) * physicalSize + (offset % pageSize);
    const field = Buffer.alloc(16);
    writeU64(field, next.section, 0);
    writeU64(field, next.position, 8);
    for (const [index, byte] of field.entries()) copy.writeUInt8(byte, payload(record * recordSize + 8 + index));
    for (let at = 8; at < copy.length; at += physicalSize) {
      const page = copy.subarray(at, at + physicalSize);
      for (const slot of [pageSize, pageSize + 6]) {
        const size = page.readUInt16BE(slot);
        if (size > 0) page.writeUInt32BE(crc32c(page.subarray(0, size)), slot + 2);
      }
    }
    return copy;
  }

  for (const next of [
    { section: 0, position: 1 },
    { section: 0, position: 9 },
    { section: 3, position: 0 },
  ]) {
    test(`is an error of the read, where the original never returned: record 1 names ${next.section}/${next.position}`, async () => {
      const store = await makeStore([{ sync: putsOf(...numbers(1, 100)) }], {
        tableInitialSize: 1,
        tableResizeFrequency: 254,
      });
      for (const { start } of startsOf(store)) {
        const disk = tampered(store, (files) => files.set(keyFile, forged(fileOf(files, keyFile), next)));
        const freezer = await Freezer.open(disk, store.settings, start);
        await assert.rejects(freezer.get({ key: keyOf(1) }), { code: 'corruption' });
        await assert.rejects(freezer.has(keyOf(999)), { code: 'corruption' });
        await assert.rejects(
          async () => {
            for await (const version of freezer.versions(keyOf(1))) assert.ok(version);
          },
          { code: 'corruption' },
        );
        await checkReads(freezer, expectedOf(...numbers(3, 100)), 'right');
        await freezer.release();
      }
    });
  }

  test('that a record behind the checkpoint does not continue is refused, and the record is not cut', async () => {
    const oneBucket = { tableInitialSize: 1, tableResizeFrequency: 254 };
    const store = await makeStore([{ sync: putsOf(1, 2, 3, 4) }, { commit: putsOf(5) }], oneBucket);
    const { checkpoint } = newest(store);
    const disk = tampered(store, (files) =>
      files.set(keyFile, forged(fileOf(files, keyFile), { section: 0, position: 0 }, 4)),
    );
    const before = disk.snapshot();
    await assert.rejects(Freezer.open(disk, store.settings, { kind: 'roll-forward', checkpoint }), {
      code: 'corruption',
      message: /record 4 does not follow its bucket's head/,
    });
    assertSame(before, disk);
  });

  test('among the newest records is refused at opening', async () => {
    const store = await makeStore([{ sync: putsOf(1, 2, 3) }], { tableInitialSize: 1, tableResizeFrequency: 254 });
    for (const { start } of startsOf(store)) {
      const disk = tampered(store, (files) =>
        files.set(keyFile, forged(fileOf(files, keyFile), { section: 0, position: 1 })),
      );
      const before = disk.snapshot();
      await assert.rejects(Freezer.open(disk, store.settings, start), { code: 'checkpoint-mismatch' });
      assertSame(before, disk);
    }
  });
});

describe('H23: an old or foreign cursor', () => {
  test('gives an error or a value with a matching checksum, never a failure of the process', async () => {
    const store = await makeStore([{ sync: putsOf(1, 2, 3) }], { valueTargetSize: 20 });
    const freezer = await Freezer.open(diskOf(store), store.settings, {
      kind: 'checkpoint',
      checkpoint: newest(store).checkpoint,
    });
    const sizes = [0, 3, 4, 5, 9, 1000, 0xffff_ffff];
    const offsets = [0, 1, 9, 4096, 2 ** 40, Number.MAX_SAFE_INTEGER];
    for (const section of [0, 1, 2, 99, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      for (const offset of offsets) {
        for (const size of sizes) {
          const cursor: Cursor = { section, offset, size };
          const [lookup] = await freezer.lookupMany([{ cursor }]);
          assert.notEqual(lookup?.kind, 'missing');
          if (lookup?.kind === 'failed') assert.ok('code' in lookup.error, lookup.error.stack);
        }
      }
    }
    await freezer.release();
  });
});

describe('H24: what was cut away', () => {
  test('is not read any more, also where other records took its place', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 5)) }, { commit: putsOf(...numbers(11, 30)) }]);
    const disk = diskOf(store);
    const freezer = await Freezer.open(disk, store.settings, {
      kind: 'checkpoint',
      checkpoint: newest(store).checkpoint,
    });
    await checkReads(freezer, new Map([...expectedOf(1, 5), [11, [undefined]], [30, [undefined]]]), 'right');
    await freezer.putMany(entriesOf(putsOf(...numbers(41, 60))));
    await freezer.commit();
    await checkReads(freezer, new Map([...expectedOf(...numbers(41, 60)), [11, [undefined]]]), 'right');
    await freezer.release();
  });
});
