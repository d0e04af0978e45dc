import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type SlotFormat, slotSpacing, TwoSlotFile } from '../../src/shard/two-slot-file.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const format: SlotFormat<number> = {
  magic: 'TEST',
  version: 1,
  payloadSize: 4,
  encode: (value, into) => into.writeUInt32BE(value),
  decode: (payload) => payload.readUInt32BE(),
};
const path = 'slots';

async function written(values: readonly number[]): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const [first = 0, ...others] = values;
  const file = await TwoSlotFile.create(disk, path, format, first);
  for (const value of others) await file.write(value);
  await file.close();
  return disk;
}

async function newestIn(disk: SimulatedDisk): Promise<number | undefined> {
  return (await TwoSlotFile.read(disk, path, format))?.value;
}

describe('a two-slot file', () => {
  test('gives the value that was written last', async () => {
    for (let count = 1; count <= 4; count++) {
      const values = [10, 20, 30, 40].slice(0, count);
      assert.equal(await newestIn(await written(values)), values.at(-1));
    }
  });

  test('is missing before it was created', async () => {
    assert.equal(await TwoSlotFile.read(new SimulatedDisk(), path, format), undefined);
    await assert.rejects(TwoSlotFile.open(new SimulatedDisk(), path, format), { code: 'damaged' });
  });

  test('keeps its two slots in different sectors', async () => {
    const disk = await written([1, 2, 3]);
    const bytes = disk.bytesOf(path);
    assert.equal(bytes.toString('latin1', 0, 4), 'TEST');
    assert.equal(bytes.toString('latin1', slotSpacing, slotSpacing + 4), 'TEST');
    assert.ok(slotSpacing >= 4096);
  });

  test('falls back to the other slot whichever byte of the newest is flipped, and says so', async () => {
    const whole = await written([1, 2, 3]);
    const newest = whole.bytesOf(path).readUInt32BE(4 + 2 + 2 + 8) === 3 ? 0 : slotSpacing;
    const slotSize = 4 + 2 + 2 + 8 + 4 + 4;
    for (let at = newest; at < newest + slotSize; at++) {
      const disk = whole.clone();
      disk.mutate(path, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 0x10;
        return bytes;
      });
      const found = await TwoSlotFile.read(disk, path, format);
      assert.deepEqual([found?.value, found?.otherUnreadable], [2, true], `byte ${at}`);
    }
  });

  test('mends the slot that cannot be read, and only that', async () => {
    for (const offset of [0, slotSpacing]) {
      const disk = await written([10, 20]);
      disk.mutate(path, (bytes) => bytes.fill(0xee, offset, offset + 10));
      const file = await TwoSlotFile.open(disk, path, format);
      const { value } = file.newest;
      await file.mendOther();
      const mended = disk.bytesOf(path);
      await file.mendOther();
      await file.close();
      assert.deepEqual(await TwoSlotFile.damage(disk, path, format), []);
      assert.equal(await newestIn(disk), value);
      assert.deepEqual(disk.bytesOf(path), mended);
    }
  });

  test('refuses when neither slot can be read', async () => {
    const disk = await written([1, 2]);
    disk.mutate(path, (bytes) => bytes.fill(0));
    await assert.rejects(newestIn(disk), { code: 'damaged', message: /permafrost salvage/ });
  });

  test('refuses a version that it does not know instead of falling back', async () => {
    const disk = await written([1]);
    const file = await TwoSlotFile.create(disk, path, { ...format, version: 2 }, 5);
    await file.close();
    await assert.rejects(newestIn(disk), { code: 'version-unknown' });
  });

  test('says what is unknown of a file of this version whose payload has another size', async () => {
    const disk = await written([1]);
    const file = await TwoSlotFile.create(disk, path, { ...format, payloadSize: format.payloadSize + 1 }, 5);
    await file.close();
    const sizes = new RegExp(`with ${format.payloadSize + 1} bytes found, .* with ${format.payloadSize} expected`);
    await assert.rejects(newestIn(disk), { code: 'version-unknown', message: sizes });
  });

  test('holds the old or the new value after a crash at any point of a write', async () => {
    const before = await written([1, 2, 3]);
    const stepCount = 2;
    for (let step = 1; step <= stepCount; step++) {
      for (let seed = 0; seed < 50; seed++) {
        const disk = before.clone();
        disk.failAt(step, 'crash');
        const file = await TwoSlotFile.open(disk, path, format);
        await assert.rejects(file.write(4));
        const found = await TwoSlotFile.read(disk.crash({ seed }), path, format);
        assert.ok(found?.value === 3 || found?.value === 4, `step ${step}, seed ${seed}: ${found?.value}`);
      }
    }
  });

  test('can be created anew over a file that a crash left unfinished', async () => {
    const empty = new SimulatedDisk();
    await TwoSlotFile.create(empty, path, format, 7);
    for (let step = 1; step <= empty.steps; step++) {
      for (let seed = 0; seed < 20; seed++) {
        const disk = new SimulatedDisk();
        disk.failAt(step, 'crash');
        await assert.rejects(TwoSlotFile.create(disk, path, format, 7));
        const found = disk.crash({ seed });
        const value = await newestIn(found);
        assert.ok(value === undefined || value === 7);
        await (await TwoSlotFile.create(found, path, format, 8)).close();
        assert.equal(await newestIn(found.crash('synced')), 8);
      }
    }
  });

  test('does not lose a value that was only readable once it was settled', async () => {
    const disk = await written([1, 2, 3]);
    const file = await TwoSlotFile.open(disk, path, format);
    disk.failAt(({ kind }) => kind === 'sync', 'eio');
    await assert.rejects(file.write(4));
    await assert.rejects(file.write(5), { code: 'disk-failed' }, 'it is poisoned');

    const again = await TwoSlotFile.open(disk, path, format);
    assert.equal(again.newest.value, 4);
    assert.equal(await newestIn(disk.crash('synced')), 3, 'it is not durable yet');
    await again.settle();
    assert.equal(await newestIn(disk.crash('synced')), 4);
  });
});
