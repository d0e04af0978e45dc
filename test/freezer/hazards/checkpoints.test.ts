/** Hazards H3 to H10: a store without its checkpoint, or with one that is not its latest. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { type Checkpoint, decodeCheckpoint } from '../../../src/freezer/checkpoint.ts';
import { Freezer } from '../../../src/freezer/freezer.ts';
import { salvage } from '../../../src/freezer/salvage.ts';
import type { FreezerStart } from '../../../src/freezer/start.ts';
import { writeSlot } from '../../../src/freezer/table-entry.ts';
import type { SimulatedDisk } from '../../simulation/simulated-disk.ts';
import {
  assertSame,
  assertTyped,
  checkReads,
  diskOf,
  type Expected,
  entriesOf,
  fileOf,
  judge,
  keyOf,
  makeStore,
  newest,
  putsOf,
  type Saved,
  type SmallStore,
  startsOf,
  storeSettings,
  tampered,
  valueFor,
} from './small-store.ts';

const table = 'table/7461626c65';
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const expectedOf = (...keys: number[]): Expected => new Map(keys.map((key) => [key, [valueFor(key)]]));

function savedAt(store: SmallStore, index: number): Saved {
  const saved = store.saved.at(index);
  assert.ok(saved !== undefined);
  return saved;
}

async function refused(disk: SimulatedDisk, store: SmallStore, start: FreezerStart, code?: string): Promise<Error> {
  const before = disk.snapshot();
  let refusal: Error | undefined;
  await assert.rejects(Freezer.open(disk, store.settings, start), (error) => {
    assertTyped(error);
    refusal = error;
    return code === undefined || ('code' in error && error.code === code);
  });
  assertSame(before, disk);
  assert.deepEqual(disk.openHandles, []);
  assert.ok(refusal !== undefined);
  return refusal;
}

describe('H3: a store that is opened without a checkpoint', () => {
  const cases = [
    {
      name: 'after a clean close in the middle of a resize',
      changes: { tableInitialSize: 2, tableResizeFrequency: 1 },
    },
    {
      name: 'with slots of a new epoch that name an old section',
      changes: { valueTargetSize: 40, tableResizeFrequency: 1 },
    },
  ];
  for (const { name, changes } of cases) {
    test(`${name}, is refused by a create, where the original guessed and lost keys`, async () => {
      const store = await makeStore([{ sync: putsOf(...numbers(1, 12)) }, { sync: [] }], changes);
      const disk = diskOf(store);
      assert.match((await refused(disk, store, { kind: 'create' }, 'not-empty')).message, /salvage/);
    });
  }

  test('is refused as long as one of its files is there', async () => {
    const store = await makeStore([{ sync: putsOf(1, 2, 3) }]);
    for (const path of store.files.keys()) {
      const disk = tampered(store, (files) => {
        for (const other of store.files.keys()) if (other !== path) files.delete(other);
      });
      await refused(disk, store, { kind: 'create' }, 'not-empty');
    }
  });

  test('gives every record to a salvage, which changes nothing', async () => {
    const store = await makeStore(
      [{ sync: putsOf(...numbers(1, 9)) }, { commit: putsOf(10, 11) }, { commit: putsOf(12) }],
      { valueTargetSize: 40, tableResizeFrequency: 1 },
    );
    const disk = tampered(store, (files) => files.delete(table));
    const before = disk.snapshot();
    const found: string[] = [];
    for await (const piece of salvage(disk, store.settings)) {
      assert.equal(piece.kind, 'record');
      if (piece.kind === 'record')
        found.push(`${piece.record.key.readUInt32BE(4)} ${Buffer.from(piece.record.value).toString('hex')}`);
    }
    assert.deepEqual(
      found,
      numbers(1, 12).map((key) => `${key} ${valueFor(key).toString('hex')}`),
    );
    assertSame(before, disk);
    assert.deepEqual(disk.openHandles, []);
  });

  test('gives a salvage the records beside a rotten page, and names what is lost', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 9)) }]);
    const path = 'key/0000000000000000';
    const disk = tampered(store, (files) => {
      const bytes = Buffer.from(fileOf(files, path));
      bytes.writeUInt8(bytes.readUInt8(100) ^ 4, 100);
      files.set(path, bytes);
    });
    const found: number[] = [];
    const lost: string[] = [];
    for await (const piece of salvage(disk, store.settings)) {
      if (piece.kind === 'record') found.push(piece.record.key.readUInt32BE(4));
      else lost.push(`${piece.loss.file} ${piece.loss.offset}`);
    }
    assert.deepEqual(found, [1, 5, 6, 7, 8, 9], 'page 1 has parts of records 1 to 3');
    assert.deepEqual(lost, [`${path} ${8 + 76}`]);
  });

  test('names to a salvage the values of a key section that is cut to nothing', async () => {
    const store = await makeStore([{ sync: putsOf(1, 2, 3) }]);
    for (const size of [0, 3, 8]) {
      const disk = tampered(store, (files) => {
        files.set('key/0000000000000000', fileOf(files, 'key/0000000000000000').subarray(0, size));
      });
      const kinds: string[] = [];
      for await (const piece of salvage(disk, store.settings)) kinds.push(piece.kind);
      assert.deepEqual(kinds, ['lost'], `cut to ${size}`);
    }
  });
});

describe('H4: a store that is used before its last checkpoint is saved', () => {
  const sameBucket = { ...storeSettings, tableInitialSize: 1, tableResizeFrequency: 254 };

  test('lets no put in before the checkpoint is saved', async () => {
    const store = await makeStore([{ sync: putsOf(1) }], sameBucket);
    const disk = diskOf(store);
    const { checkpoint } = newest(store);
    const freezer = await Freezer.open(disk, store.settings, { kind: 'checkpoint', checkpoint });
    await freezer.put(keyOf(2), valueFor(2));
    const saving = Promise.withResolvers<void>();
    const saved = Promise.withResolvers<void>();
    const syncing = freezer.sync(async () => {
      saving.resolve();
      await saved.promise;
    });
    let admitted = false;
    await saving.promise;
    const put = freezer.put(keyOf(3), valueFor(3)).then(() => {
      admitted = true;
    });
    assert.equal((await freezer.getMany([{ key: keyOf(1) }]))[0]?.length, valueFor(1).length, 'reads go on');
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    assert.equal(admitted, false);
    saved.resolve();
    await Promise.all([syncing, put]);
    await freezer.release();
  });

  test('keeps every key of a bucket, where the original lost even those committed long ago', async () => {
    const store = await makeStore([{ sync: putsOf(1) }], sameBucket);
    const disk = diskOf(store);
    const { checkpoint } = newest(store);
    const freezer = await Freezer.open(disk, store.settings, { kind: 'checkpoint', checkpoint });
    await freezer.put(keyOf(2), valueFor(2));
    // The caller takes the checkpoint and never gets to save it.
    await freezer.sync();
    const between = disk.bytesOf(table);
    await freezer.put(keyOf(3), valueFor(3));
    await freezer.commit();
    assert.ok(disk.bytesOf(table).equals(between), 'a put writes no slot');
    for (const survival of ['all', 'synced', 'allDurable'] as const) {
      const exact = await Freezer.open(disk.crash(survival), store.settings, { kind: 'checkpoint', checkpoint });
      await checkReads(exact, expectedOf(1), 'right');
      await exact.release();
      const forward = await Freezer.open(disk.crash(survival), store.settings, { kind: 'roll-forward', checkpoint });
      await checkReads(forward, expectedOf(1, 2, 3), 'right');
      await forward.release();
    }
    await freezer.release();
  });

  test('cannot be used any more when saving failed', async () => {
    const store = await makeStore([{ sync: putsOf(1) }]);
    const disk = diskOf(store);
    const freezer = await Freezer.open(disk, store.settings, {
      kind: 'checkpoint',
      checkpoint: newest(store).checkpoint,
    });
    await freezer.put(keyOf(2), valueFor(2));
    const failure = new Error('no room for the checkpoint');
    await assert.rejects(
      freezer.sync(() => Promise.reject(failure)),
      failure,
    );
    await assert.rejects(freezer.put(keyOf(3), valueFor(3)), { code: 'poisoned' });
    await checkReads(freezer, expectedOf(1), 'right');
    await freezer.release();
  });
});

describe('H5: a stale checkpoint', () => {
  test('one sync behind gives its own state, or with roll-forward everything', async () => {
    const store = await makeStore([{ sync: putsOf(1) }, { sync: putsOf(2) }, { sync: putsOf(3) }], {
      tableInitialSize: 1,
      tableResizeFrequency: 254,
    });
    const { checkpoint } = savedAt(store, 1);
    const exact = await Freezer.open(diskOf(store), store.settings, { kind: 'checkpoint', checkpoint });
    await checkReads(exact, new Map([...expectedOf(1, 2), [3, [undefined]]]), 'right');
    await exact.release();
    const forward = await Freezer.open(diskOf(store), store.settings, { kind: 'roll-forward', checkpoint });
    await checkReads(forward, expectedOf(1, 2, 3), 'right');
    await forward.release();
  });

  test('two syncs behind is refused when slots prove it, where the original zeroed both slots of a bucket', async () => {
    const store = await makeStore([{ sync: putsOf(1) }, { sync: putsOf(2) }, { sync: putsOf(3) }], {
      tableInitialSize: 1,
      tableResizeFrequency: 254,
    });
    const { checkpoint } = savedAt(store, 0);
    for (const kind of ['checkpoint', 'roll-forward'] as const) {
      await refused(diskOf(store), store, { kind, checkpoint }, 'checkpoint-mismatch');
    }
  });

  test('is refused also when only the half that a later resize added proves it', async () => {
    const upper = numbers(10, 60).find((key) => (crc32c(keyOf(key)) & 3) >= 2) ?? assert.fail();
    const store = await makeStore([{ sync: putsOf(1) }, { sync: putsOf(...numbers(2, 9)) }, { sync: putsOf(upper) }], {
      tableInitialSize: 2,
      tableResizeFrequency: 3,
      tableResizeChunkSize: 64,
    });
    assert.deepEqual(
      store.saved.map(({ checkpoint }) => checkpoint.tableSize),
      [2, 4, 4],
    );
    const { checkpoint } = savedAt(store, 0);
    for (const kind of ['checkpoint', 'roll-forward'] as const) {
      await refused(diskOf(store), store, { kind, checkpoint }, 'checkpoint-mismatch');
    }
  });

  test('with which a clean close is claimed is refused', async () => {
    const store = await makeStore([{ sync: putsOf(1, 2) }, { sync: putsOf(3) }, { sync: putsOf(4) }]);
    const { checkpoint, table: state } = newest(store);
    for (const epoch of [1, 2]) {
      const start: FreezerStart = { kind: 'clean', checkpoint: { ...checkpoint, epoch }, table: state };
      await refused(diskOf(store), store, start);
    }
    for (const index of [0, 1]) {
      const saved = savedAt(store, index);
      await refused(diskOf(store), store, { kind: 'clean', checkpoint: saved.checkpoint, table: saved.table });
    }
  });
});

describe('H6: the checkpoint of other data', () => {
  test('of another table size is refused, where the original lost half of the keys', async () => {
    for (const frequency of [254, 3]) {
      const store = await makeStore([{ sync: putsOf(...numbers(1, 20)) }], {
        tableInitialSize: 8,
        tableResizeFrequency: frequency,
      });
      for (const tableSize of [1, 2, 4, 16, 32]) {
        for (const { name, start } of startsOf(store)) {
          assert.ok(start.kind !== 'create');
          const disk = diskOf(store);
          const wrong: FreezerStart = { ...start, checkpoint: { ...start.checkpoint, tableSize } };
          const verdict = await judge(disk, store.settings, { start: wrong, expected: store.atCheckpoint }, 'right');
          assert.equal(verdict.kind, 'refused', `${tableSize} buckets by ${name}, frequency ${frequency}`);
        }
      }
    }
  });

  test('of another store is refused', async () => {
    const stores = await Promise.all(
      [numbers(1, 20), numbers(21, 40), numbers(1, 7), numbers(1, 40)].map((keys) =>
        makeStore([{ sync: putsOf(...keys.slice(0, 3)) }, { sync: putsOf(...keys.slice(3)) }]),
      ),
    );
    for (const mine of stores) {
      for (const other of stores) {
        if (mine === other) continue;
        for (const { start } of startsOf(other)) {
          await judge(diskOf(mine), mine.settings, { start, expected: mine.atCheckpoint }, 'right');
        }
      }
    }
  });

  test("with a table that is another store's, or its own of earlier, is refused", async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 20)) }]);
    const other = await makeStore([{ sync: putsOf(...numbers(101, 120)) }]);
    const earlier = await makeStore([{ sync: putsOf(...numbers(1, 10)) }]);
    for (const from of [other, earlier]) {
      for (const way of startsOf(store)) {
        const disk = tampered(store, (files) => files.set(table, fileOf(from.files, table)));
        const verdict = await judge(disk, store.settings, way, 'right');
        assert.equal(verdict.kind, 'refused', way.name);
      }
    }
  });
});

describe('H7: the checkpoint of a store that was never written to', () => {
  test('opens it, by every start, where the original failed with an unknown section', async () => {
    const store = await makeStore([{ sync: [] }, { sync: [] }]);
    for (const way of startsOf(store)) {
      const disk = diskOf(store);
      const freezer = await Freezer.open(disk, store.settings, way.start);
      await freezer.putMany(entriesOf(putsOf(1, 2)));
      const checkpoint = await freezer.close();
      assert.equal(checkpoint.epoch, 3);
      const again = await Freezer.open(disk, store.settings, { kind: 'checkpoint', checkpoint });
      await checkReads(again, expectedOf(1, 2), 'right');
      await again.release();
    }
  });
});

describe('H8: journals shorter than the checkpoint says', () => {
  const key = (section: number): string => `key/000000000000000${section}`;
  const value = (section: number): string => `value/000000000000000${section}`;
  const cases: readonly { readonly name: string; readonly change: (files: Map<string, Buffer>) => void }[] = [
    {
      name: 'a key file cut to whole pages',
      change: (files) => files.set(key(1), fileOf(files, key(1)).subarray(0, 8 + 76)),
    },
    { name: 'a missing section in the middle', change: (files) => files.delete(key(1)) },
    {
      name: 'a value file one byte short',
      change: (files) => files.set(value(2), fileOf(files, value(2)).subarray(0, -1)),
    },
    {
      name: 'the value file of an old section one byte short',
      change: (files) => files.set(value(0), fileOf(files, value(0)).subarray(0, -1)),
    },
  ];
  for (const { name, change } of cases) {
    test(`are refused each time and left alone: ${name}; the original cut the rest away`, async () => {
      const store = await makeStore([{ sync: putsOf(...numbers(1, 12)) }], { valueTargetSize: 60 });
      assert.equal(newest(store).checkpoint.section, 2);
      for (const { start } of startsOf(store)) {
        const disk = tampered(store, change);
        const first = await refused(disk, store, start, 'corruption');
        const second = await refused(disk, store, start, 'corruption');
        assert.equal(first.message, second.message);
      }
    });
  }
});

describe('H9: the length of the table', () => {
  test('may be more by a few bytes, and less it is refused, where the original took lost buckets for empty ones', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 20)) }], { tableInitialSize: 8 });
    const bytes = fileOf(store.files, table);
    for (const way of startsOf(store)) {
      const judged = (changed: Buffer): Promise<{ kind: string }> =>
        judge(
          tampered(store, (files) => files.set(table, changed)),
          store.settings,
          way,
          'right',
        );
      for (const more of [1, 29, 58, 100]) {
        const verdict = await judged(Buffer.concat([bytes, Buffer.alloc(more)]));
        assert.equal(verdict.kind, way.name === 'clean' ? 'refused' : 'opened');
      }
      for (const buckets of [7, 5, 4, 1, 0])
        assert.equal((await judged(bytes.subarray(0, 8 + 58 * buckets))).kind, 'refused');
      assert.equal((await judged(bytes.subarray(0, 40))).kind, 'refused');
      assert.equal((await judged(Buffer.alloc(0))).kind, 'refused');
    }
  });
});

describe('H5: two forged slots that are both of the interrupted epoch', () => {
  test('are refused: one of them must hold the state of the checkpoint', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 8)) }]);
    const disk = tampered(store, (files) => {
      const bytes = Buffer.from(fileOf(files, table));
      for (const slot of [0, 29]) writeSlot(bytes, 8 + slot, { epoch: 2, section: 0, position: 0, added: 1 });
      files.set(table, bytes);
    });
    for (const kind of ['checkpoint', 'roll-forward'] as const) {
      await refused(disk, store, { kind, checkpoint: newest(store).checkpoint }, 'checkpoint-mismatch');
    }
  });
});

describe('H10: epochs that cannot be counted to', () => {
  test('in a checkpoint are refused', async () => {
    assert.throws(() => decodeCheckpoint(Buffer.concat([Buffer.alloc(8, 0xff), Buffer.alloc(20)])), {
      code: 'out-of-range',
    });
    const store = await makeStore([{ sync: putsOf(1) }]);
    for (const epoch of [Number.MAX_SAFE_INTEGER, 2 ** 53, -1, 0, 1.5, Number.NaN]) {
      for (const { start } of startsOf(store)) {
        assert.ok(start.kind !== 'create');
        const checkpoint: Checkpoint = { ...start.checkpoint, epoch };
        await refused(diskOf(store), store, { ...start, checkpoint }, 'checkpoint-mismatch');
      }
    }
  });

  test('in a forged slot are refused, where the original could not open the store any more', async () => {
    const store = await makeStore([{ sync: putsOf(...numbers(1, 8)) }]);
    for (const epoch of [Number.MAX_SAFE_INTEGER, 3]) {
      const disk = tampered(store, (files) => {
        const bytes = Buffer.from(fileOf(files, table));
        writeSlot(bytes, 8 + 29, { epoch, section: 0, position: 0, added: 1 });
        files.set(table, bytes);
      });
      for (const kind of ['checkpoint', 'roll-forward'] as const) {
        await refused(disk, store, { kind, checkpoint: newest(store).checkpoint }, 'checkpoint-mismatch');
      }
    }
  });
});
