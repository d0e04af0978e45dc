/** A full page of a sealed section whose newest checksum does not match any more falls back to an older, partial one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codeOf } from '../../src/base/errors.ts';
import type { Checkpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { rebuildTable } from '../../src/freezer/rebuild.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import type { FreezerStart } from '../../src/freezer/start.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { smallSettings } from './keeper.ts';

const recordCount = 40;
const physicalPageSize = 84;
const headerSize = 8;
const slotSize = 29;
const settings: FreezerSettings<Uint8Array> = {
  ...smallSettings,
  keyPageCache: { pageSize: 72, pages: 4 },
  keyWriteBuffer: 1 << 16,
  valueWriteBuffer: 1 << 16,
  valueTargetSize: 200,
  tableInitialSize: 64,
  tableResizeFrequency: 254,
};

function keyOf(number: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32BE((number * 2_654_435_761) >>> 0, 4);
  return key;
}

const textOf = (number: number): Buffer => Buffer.from(`value ${number}....`);

/** A store whose pages were each committed twice: half full, then full. */
async function makeStore(): Promise<{ readonly disk: SimulatedDisk; readonly checkpoint: Checkpoint }> {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  for (let number = 0; number < recordCount; number++) {
    await freezer.put(keyOf(number), textOf(number));
    await freezer.commit();
  }
  const checkpoint = await freezer.sync();
  await freezer.release();
  return { disk, checkpoint };
}

function flip(disk: SimulatedDisk, path: string, at: number): void {
  disk.mutate(path, (bytes) => {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    return changed;
  });
}

const rotPage = (disk: SimulatedDisk, section: number, page: number): void =>
  flip(disk, `key/000000000000000${section}`, headerSize + page * physicalPageSize + 40);

function usedSlots(disk: SimulatedDisk): readonly number[] {
  const bytes = disk.bytesOf('table/7461626c65');
  assert.ok(bytes !== undefined);
  const slots: number[] = [];
  for (let at = headerSize; at + slotSize <= bytes.length; at += slotSize) {
    if (bytes.subarray(at, at + slotSize).some((byte) => byte !== 0)) slots.push(at);
  }
  return slots;
}

/** Right values and typed errors only; a store that does not open refuses. */
async function checkHonest(disk: SimulatedDisk, start: FreezerStart): Promise<'opened' | 'refused'> {
  let freezer: Freezer<Uint8Array>;
  try {
    freezer = await Freezer.open(disk, settings, start);
  } catch (error) {
    assert.ok(codeOf(error) === 'corruption' || codeOf(error) === 'checkpoint-mismatch');
    return 'refused';
  }
  const lookups = await freezer.lookupMany(
    Array.from({ length: recordCount }, (_, number) => ({ key: keyOf(number) })),
  );
  for (const [number, lookup] of lookups.entries()) {
    if (lookup.kind === 'failed') assert.equal(codeOf(lookup.error), 'corruption');
    else assert.deepEqual(lookup.kind === 'found' ? Buffer.from(lookup.value) : lookup.kind, textOf(number));
  }
  await freezer.release();
  return 'opened';
}

describe('a page of a sealed section that falls back to an older checksum', () => {
  test('never makes a key vanish when buckets are derived from it', async () => {
    const { disk, checkpoint } = await makeStore();
    const outcomes = { opened: 0, refused: 0 };
    for (const section of [0, 1]) {
      for (const page of [0, 1, 2, 3]) {
        for (const slot of usedSlots(disk)) {
          const damaged = disk.clone();
          rotPage(damaged, section, page);
          flip(damaged, 'table/7461626c65', slot + 20);
          outcomes[await checkHonest(damaged, { kind: 'roll-forward', checkpoint })]++;
        }
      }
    }
    assert.ok(outcomes.opened + outcomes.refused >= 200, JSON.stringify(outcomes));
  });

  test('makes a rebuild refuse and leaves the old table', async () => {
    const { disk, checkpoint } = await makeStore();
    rotPage(disk, 0, 0);
    const before = disk.bytesOf('table/7461626c65');
    await assert.rejects(rebuildTable(disk, settings, checkpoint), (error) => codeOf(error) === 'corruption');
    assert.deepEqual(disk.bytesOf('table/7461626c65'), before);
  });

  test('is corruption when all records are read, also in the last page', async () => {
    const { disk, checkpoint } = await makeStore();
    const pageCount = ((disk.bytesOf('key/0000000000000001')?.length ?? 0) - headerSize) / physicalPageSize;
    for (let page = 0; page < pageCount; page++) {
      const damaged = disk.clone();
      const freezer = await Freezer.open(damaged, settings, {
        kind: 'clean',
        checkpoint,
        table: { resizeProgress: undefined, resizable: 0, initialSize: 1, digests: undefined },
      });
      rotPage(damaged, 1, page);
      const reading = async (): Promise<void> => {
        for await (const _ of freezer.records());
      };
      await assert.rejects(reading, (error) => codeOf(error) === 'corruption', `page ${page}`);
      await freezer.release();
    }
  });
});
