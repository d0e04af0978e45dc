/** Hazards H1, H2 and H16: what a power loss does to a page that holds committed records. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Checkpoint } from '../../../src/freezer/checkpoint.ts';
import { Freezer } from '../../../src/freezer/freezer.ts';
import type { FreezerStart } from '../../../src/freezer/start.ts';
import { Random } from '../../simulation/random.ts';
import { SimulatedDisk } from '../../simulation/simulated-disk.ts';
import {
  checkReads,
  type Expected,
  entriesOf,
  keyOf,
  putsOf,
  type Settings,
  storeSettings,
  valueFor,
} from './small-store.ts';

const keyFile = 'key/0000000000000000';
const valueFile = 'value/0000000000000000';
const expectedOf = (...keys: number[]): Expected => new Map(keys.map((key) => [key, [valueFor(key)]]));

describe('H1: a committed record in a page of which only the second, later write survived', () => {
  const pageSize = 64;
  const secondWriteAt = 8 + pageSize + 6;

  /** The image of SEMANTICS H1: committed 36 of 64 bytes; of the next two writes only the second reached the disk. */
  async function image(): Promise<{ disk: SimulatedDisk; checkpoint: Checkpoint }> {
    const disk = new SimulatedDisk();
    const freezer = await Freezer.open(disk, storeSettings, { kind: 'create' });
    await freezer.putMany(entriesOf(putsOf(1)));
    const checkpoint = await freezer.sync();
    const committed = disk.snapshot();
    await freezer.putMany(entriesOf(putsOf(2, 3, 4)));
    await freezer.commit();
    await freezer.release();
    const written = disk.bytesOf(keyFile);
    const torn = Buffer.from(written);
    committed.get(keyFile)?.copy(torn, 0, 0, secondWriteAt);
    assert.ok(torn.length > 8 + pageSize + 12, 'the next page is there');
    assert.ok(!torn.equals(written), 'the first write is not');
    committed.set(keyFile, torn);
    return { disk: SimulatedDisk.of(committed), checkpoint };
  }

  for (const kind of ['checkpoint', 'roll-forward'] as const) {
    test(`is read back after opening by ${kind}, where the original cut both files to nothing`, async () => {
      const { disk, checkpoint } = await image();
      const freezer = await Freezer.open(disk, storeSettings, { kind, checkpoint });
      await checkReads(freezer, new Map([...expectedOf(1), [2, [undefined]], [3, [undefined]]]), 'right');
      await freezer.putMany(entriesOf(putsOf(5, 6)));
      const next = await freezer.close();
      const again = await Freezer.open(disk.crash('synced'), storeSettings, { kind: 'checkpoint', checkpoint: next });
      await checkReads(again, expectedOf(1, 5, 6), 'right');
      await again.release();
    });
  }
});

describe('H2: a second power loss while recovery cuts a page that holds committed records', () => {
  for (const { pageSize, sectorSizes } of [
    { pageSize: 500, sectorSizes: [512] },
    { pageSize: 500, sectorSizes: [1, 7] },
    { pageSize: 64, sectorSizes: [1] },
    { pageSize: 64, sectorSizes: [7] },
    { pageSize: 33, sectorSizes: [1] },
  ]) {
    test(`loses none of them, with pages of ${pageSize} and sectors of ${sectorSizes.join(' or ')}`, async () => {
      for (let seed = 1; seed <= 120; seed++) {
        try {
          await crashTwice(pageSize, sectorSizes, seed);
        } catch (error) {
          throw new Error(`pageSize ${pageSize}, sectors ${sectorSizes}, seed ${seed}`, { cause: error });
        }
      }
    });
  }

  /** A store with committed records, a crash with more on the way, and a crash in the recovery from it. */
  async function crashTwice(pageSize: number, sectorSizes: readonly number[], seed: number): Promise<void> {
    const random = new Random(seed);
    const settings: Settings = { ...storeSettings, keyPageCache: { pageSize, pages: 16 } };
    const first = new SimulatedDisk();
    const freezer = await Freezer.open(first, settings, { kind: 'create' });
    const committed = Array.from({ length: random.between(1, 30) }, (_, index) => index + 1);
    await freezer.putMany(entriesOf(putsOf(...committed)));
    const checkpoint = await freezer.sync();
    const start = { kind: random.pick(['checkpoint', 'roll-forward'] as const), checkpoint };
    await appendMore(freezer, random, committed.length);
    await freezer.release();

    const second = first.crash(drawn(random, sectorSizes));
    second.failAt(random.between(0, 6), 'crash');
    const left = await recovered(second, settings, start);
    const third = second.crash(drawn(random, sectorSizes));
    const opened = await Freezer.open(third, settings, start);
    await checkReads(opened, expectedOf(...committed), 'right');
    await opened.release();
    await left?.release().catch(() => {});
  }

  async function appendMore(freezer: Freezer<Uint8Array>, random: Random, from: number): Promise<void> {
    let key = from;
    for (let commits = random.between(1, 3); commits > 0; commits--) {
      const count = random.between(1, 12);
      await freezer.putMany(entriesOf(putsOf(...Array.from({ length: count }, () => ++key))));
      await freezer.commit();
    }
  }

  /** The store, when recovery was over before the fault. */
  async function recovered(
    disk: SimulatedDisk,
    settings: Settings,
    start: FreezerStart,
  ): Promise<Freezer<Uint8Array> | undefined> {
    try {
      return await Freezer.open(disk, settings, start);
    } catch (error) {
      assert.ok(disk.crashed, `recovery failed without a crash: ${error instanceof Error ? error.stack : error}`);
      return undefined;
    }
  }

  /** Mostly everything that was issued survives, so that there is something to cut. */
  function drawn(
    random: Random,
    sectorSizes: readonly number[],
  ): 'all' | { seed: number; sectorSizes: readonly number[] } {
    const seed = random.u32();
    return random.chance(0.3) ? 'all' : { seed, sectorSizes };
  }
});

describe('H16: what a sync promises', () => {
  test('holds because journals are durable before the table is written, and the table before the checkpoint is given', async () => {
    const disk = new SimulatedDisk({ jitterSeed: 7 });
    const freezer = await Freezer.open(disk, storeSettings, { kind: 'create' });
    await freezer.putMany(entriesOf(putsOf(1, 2, 3)));
    const from = disk.log.length;
    let savedAt = 0;
    await freezer.sync(async () => {
      savedAt = disk.log.length;
    });
    await freezer.release();
    const log = disk.log.slice(from, savedAt);
    const endOf = (path: string): number =>
      log.find((entry) => entry.kind === 'sync' && entry.path === path)?.ended ?? Number.NaN;
    const tableWrites = log.filter(({ kind, path }) => kind === 'write' && path.startsWith('table/'));
    assert.ok(tableWrites.length > 0);
    for (const write of tableWrites) {
      assert.ok(endOf(keyFile) < write.issued && endOf(valueFile) < write.issued, 'journals first');
      assert.ok((write.ended ?? Number.NaN) < endOf('table/7461626c65'), 'then the table, durably');
    }
  });

  test('holds for directories that an earlier run made and did not make durable', async () => {
    const disk = new SimulatedDisk();
    for (const directory of ['key', 'value', 'table']) await disk.makeDirectory(directory);
    const killed = disk.crash('all');
    const freezer = await Freezer.open(killed, storeSettings, { kind: 'create' });
    await freezer.put(keyOf(1), valueFor(1));
    const checkpoint = await freezer.close();
    const after = await Freezer.open(killed.crash('synced'), storeSettings, { kind: 'checkpoint', checkpoint });
    await checkReads(after, expectedOf(1), 'right');
    await after.release();
  });

  test('holds for bytes of a killed process that recovery adopted: they are written and fsynced again', async () => {
    const disk = new SimulatedDisk();
    const freezer = await Freezer.open(disk, storeSettings, { kind: 'create' });
    await freezer.put(keyOf(1), valueFor(1));
    const checkpoint = await freezer.sync();
    await freezer.putMany(entriesOf(putsOf(2, 3)));
    disk.failAt(({ kind, path }) => kind === 'sync' && path === keyFile, 'crash');
    await assert.rejects(freezer.commit());
    const next = disk.crash('all');
    const adopting = await Freezer.open(next, storeSettings, { kind: 'roll-forward', checkpoint });
    await checkReads(adopting, expectedOf(1, 2, 3), 'right');
    await adopting.release();
    const start: FreezerStart = { kind: 'roll-forward', checkpoint };
    const after = await Freezer.open(next.crash('synced'), storeSettings, start);
    await checkReads(after, expectedOf(1, 2, 3), 'right');
    await after.release();
  });

  for (const path of [keyFile, valueFile]) {
    test(`holds for bytes whose fsync failed: they are written again, as an fsync alone does nothing for them (${path})`, async () => {
      const disk = new SimulatedDisk();
      const freezer = await Freezer.open(disk, storeSettings, { kind: 'create' });
      await freezer.put(keyOf(1), valueFor(1));
      const checkpoint = await freezer.sync();
      await freezer.putMany(entriesOf(putsOf(2, 3)));
      disk.failAt((operation) => operation.kind === 'sync' && operation.path === path, 'eio');
      await assert.rejects(freezer.commit());
      await freezer.release();
      const start: FreezerStart = { kind: 'roll-forward', checkpoint };
      const adopting = await Freezer.open(disk, storeSettings, start);
      await checkReads(adopting, expectedOf(1, 2, 3), 'right');
      await adopting.release();
      const after = await Freezer.open(disk.crash('synced'), storeSettings, start);
      await checkReads(after, expectedOf(1, 2, 3), 'right');
      await after.release();
    });
  }
});
