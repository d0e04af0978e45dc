import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JournalEnd } from '../../src/journal/journal-end.ts';
import { manifestLineSize, SectionManifest, sectionManifestFile } from '../../src/shard/section-manifest.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const ends: readonly JournalEnd[] = [0, 1, 2].map((section) => ({
  section,
  keyBytes: 560 * (section + 1),
  valueBytes: 2 ** 40 + section,
}));

async function withSections(count: number): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const manifest = await SectionManifest.create(disk);
  for (const end of ends.slice(0, count)) await manifest.append(end);
  await manifest.close();
  return disk;
}

describe('the section manifest', () => {
  test('gives the ends that were appended', async () => {
    assert.deepEqual(await SectionManifest.read(await withSections(3)), { ends, torn: false });
    assert.deepEqual(await SectionManifest.read(await withSections(0)), { ends: [], torn: false });
  });

  test('refuses when its file is missing', async () => {
    await assert.rejects(SectionManifest.read(new SimulatedDisk()), { code: 'damaged' });
  });

  test('refuses a section that is not the next one', async () => {
    const disk = await withSections(1);
    const manifest = await SectionManifest.open(disk);
    await assert.rejects(manifest.append({ section: 2, keyBytes: 1, valueBytes: 1 }), { code: 'damaged' });
    await assert.rejects(manifest.append({ section: 0, keyBytes: 1, valueBytes: 1 }), { code: 'damaged' });
  });

  test('drops a torn last line of any length, and cuts it before the next append', async () => {
    const whole = await withSections(2);
    for (let size = 2 * manifestLineSize - 1; size > manifestLineSize; size--) {
      const disk = whole.clone();
      disk.mutate(sectionManifestFile, (bytes) => bytes.subarray(0, size));
      assert.deepEqual(await SectionManifest.read(disk), { ends: ends.slice(0, 1), torn: true });
      const manifest = await SectionManifest.open(disk);
      await manifest.growFrom(1);
      for (const end of ends.slice(1)) await manifest.append(end);
      assert.deepEqual(await SectionManifest.read(disk.crash('synced')), { ends, torn: false });
    }
  });

  test('is damaged by any flipped byte before the last line, and never says something else', async () => {
    const whole = await withSections(3);
    for (let at = 0; at < 2 * manifestLineSize; at++) {
      const disk = whole.clone();
      disk.mutate(sectionManifestFile, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 0x01;
        return bytes;
      });
      await assert.rejects(SectionManifest.read(disk), { code: 'damaged' }, `byte ${at}`);
    }
  });

  test('forgets the line of a section that goes on growing', async () => {
    const disk = await withSections(3);
    const manifest = await SectionManifest.open(disk);
    await manifest.growFrom(3);
    assert.equal(manifest.ends.length, 3);
    await manifest.growFrom(1);
    assert.deepEqual(await SectionManifest.read(disk.crash('synced')), { ends: ends.slice(0, 1), torn: false });
  });

  test('refuses when the line of a section that was left is missing', async () => {
    const manifest = await SectionManifest.open(await withSections(2));
    await assert.rejects(manifest.growFrom(3), { code: 'damaged', message: /2 lines found, 3 expected/ });
  });

  test('holds every line whose append returned after a crash at any point', async () => {
    const before = await withSections(2);
    for (let step = 1; step <= 2; step++) {
      for (let seed = 0; seed < 50; seed++) {
        const disk = before.clone();
        disk.failAt(step, 'crash');
        const manifest = await SectionManifest.open(disk);
        await assert.rejects(manifest.append({ section: 2, keyBytes: 9, valueBytes: 9 }));
        const found = await SectionManifest.read(disk.crash({ seed }));
        assert.deepEqual(found.ends.slice(0, 2), ends.slice(0, 2));
        assert.ok(found.ends.length <= 3);
      }
    }
  });

  test('is not built on a line that was only readable', async () => {
    const disk = await withSections(1);
    const manifest = await SectionManifest.open(disk);
    disk.failAt(({ kind }) => kind === 'sync', 'eio');
    await assert.rejects(manifest.append(ends[1] ?? assert.fail()));
    await assert.rejects(manifest.append(ends[1] ?? assert.fail()), { code: 'disk-failed' }, 'it is poisoned');
    const again = await SectionManifest.open(disk);
    assert.equal(again.ends.length, 2);
    await again.growFrom(1);
    await again.append(ends[1] ?? assert.fail());
    assert.equal((await SectionManifest.read(disk.crash('synced'))).ends.length, 2);
  });
});
