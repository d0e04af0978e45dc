/**
 * Recovery of both journals together: what is durable is restored or refused, what is whole behind it is adopted,
 * what is not is cut. Nothing is inferred.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { JournalEnd } from '../../src/journal/journal-end.ts';
import { sectionName } from '../../src/journal/section-blobs.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { frameSize, PairStore, pairLayout, type RecoverOptions } from './pair-store.ts';

const headerSize = 8;

function keyFile(section: number): string {
  return `key/${sectionName(section)}`;
}

function valueFile(section: number): string {
  return `value/${sectionName(section)}`;
}

interface Built {
  readonly disk: SimulatedDisk;
  /** End of each commit, section by section. */
  readonly ends: readonly JournalEnd[];
}

/** Sections with these numbers of pairs, committed one section at a time; ids count from 1. */
async function built(counts: readonly number[], pageSize = 64): Promise<Built> {
  const disk = new SimulatedDisk();
  const store = await PairStore.create(disk, pageSize);
  const ends: JournalEnd[] = [];
  let id = 1;
  for (const [section, count] of counts.entries()) {
    if (section > 0) await store.rollover();
    await store.append(...Array.from({ length: count }, () => id++));
    ends.push(await store.commit());
  }
  await store.close();
  return { disk, ends };
}

function cutContent(disk: SimulatedDisk, path: string, size: number): void {
  disk.mutate(path, (bytes) => bytes.subarray(0, headerSize + size));
}

function change(disk: SimulatedDisk, path: string, offset: number, value: Buffer): void {
  disk.mutate(path, (bytes) => {
    value.copy(bytes, headerSize + offset);
    return bytes;
  });
}

/** Ids of a section after recovery; the store is closed. */
async function recovered(disk: SimulatedDisk, section = 0, options: RecoverOptions = {}): Promise<number[]> {
  const store = await PairStore.recover(disk, options);
  const ids = await store.ids(section);
  await store.close();
  assert.deepEqual(disk.openHandles, []);
  return ids;
}

/** Recovery refuses, twice, and has not changed a byte. */
async function refused(disk: SimulatedDisk, options: RecoverOptions, message: RegExp): Promise<void> {
  const before = disk.snapshot();
  for (let attempt = 0; attempt < 2; attempt++) {
    await assert.rejects(PairStore.recover(disk, options), { code: 'corruption', message });
  }
  assert.deepEqual(disk.snapshot(), before);
  assert.deepEqual(disk.openHandles, []);
}

describe('without damage', () => {
  test('the first pair gets position 0 and is read back', async () => {
    const disk = new SimulatedDisk();
    const store = await PairStore.create(disk);
    assert.deepEqual(await store.append(7), [0]);
    assert.deepEqual(await store.ids(0), [7]);
    await store.close();
  });

  test('pairs of several sections are all there', async () => {
    const { disk, ends } = await built([10, 10, 10]);
    const store = await PairStore.recover(disk);
    for (const section of [0, 1, 2]) assert.equal((await store.ids(section)).length, 10);
    assert.deepEqual(store.end, ends[2]);
    await store.close();
  });

  test('recovering changes no byte', async () => {
    const { disk } = await built([3, 4]);
    const before = disk.snapshot();
    await recovered(disk, 1);
    assert.deepEqual(disk.snapshot(), before);
  });

  test('a store without any file is empty', async () => {
    assert.deepEqual(await recovered(new SimulatedDisk()), []);
  });
});

describe('behind the durable end', () => {
  test('pairs whose values are gone are dropped, and appending goes on in their place', async () => {
    const { disk } = await built([5]);
    cutContent(disk, valueFile(0), 3 * frameSize);
    const store = await PairStore.recover(disk);
    assert.deepEqual(await store.ids(0), [1, 2, 3]);
    await assert.rejects(store.oversized.keys.read({ section: 0, position: 3 }), { code: 'corruption' });
    assert.deepEqual(await store.append(11, 12), [3, 4]);
    await store.commit();
    await store.close();
    assert.deepEqual(await recovered(disk), [1, 2, 3, 11, 12]);
  });

  test('nothing is left when no value is, and the first pair gets position 0 again', async () => {
    const { disk } = await built([5]);
    cutContent(disk, valueFile(0), 0);
    const store = await PairStore.recover(disk);
    assert.deepEqual(await store.append(9), [0]);
    await store.commit();
    assert.deepEqual(await store.ids(0), [9]);
    await store.close();
    assert.deepEqual(await recovered(disk), [9]);
  });

  test('a value that is a byte short costs its pair and no other', async () => {
    const { disk } = await built([3]);
    cutContent(disk, valueFile(0), 3 * frameSize - 1);
    assert.deepEqual(await recovered(disk), [1, 2]);
  });

  test('a value whose bytes are torn is not adopted, though its range is in the file', async () => {
    const { disk } = await built([3]);
    change(disk, valueFile(0), frameSize + 5, Buffer.from([0xee]));
    assert.deepEqual(await recovered(disk), [1]);
  });

  test('values without records are cut, and their space is used again', async () => {
    const { disk } = await built([3], 20);
    cutContent(disk, keyFile(0), 2 * 32);
    const store = await PairStore.recover(disk, { pageSize: 20 });
    assert.equal(disk.bytesOf(valueFile(0)).length, headerSize + 2 * frameSize);
    assert.deepEqual(await store.append(11, 12, 13), [2, 3, 4]);
    await store.commit();
    await store.close();
    assert.deepEqual(await recovered(disk, 0, { pageSize: 20 }), [1, 2, 11, 12, 13]);
  });

  test('garbage behind the values is cut, and the next value begins where the last one ended', async () => {
    const { disk } = await built([2]);
    disk.mutate(valueFile(0), (bytes) => Buffer.concat([bytes, Buffer.alloc(100, 0xab)]));
    const store = await PairStore.recover(disk);
    await store.append(9);
    await store.commit();
    assert.deepEqual(await store.ids(0), [1, 2, 9]);
    assert.equal(disk.bytesOf(valueFile(0)).length, headerSize + 3 * frameSize);
    await store.close();
  });

  test('a last page whose checksum is bad costs the pairs in it', async () => {
    const { disk } = await built([5], 20);
    change(disk, keyFile(0), 4 * 32 + 20, Buffer.alloc(12, 0xff));
    const store = await PairStore.recover(disk, { pageSize: 20 });
    assert.deepEqual(await store.ids(0), [1, 2, 3, 4]);
    assert.deepEqual(await store.append(9), [4]);
    await store.close();
  });

  test('a torn page in the middle ends the section, whatever is behind it', async () => {
    const { disk } = await built([5], 20);
    change(disk, keyFile(0), 2 * 32, Buffer.alloc(4, 0xff));
    assert.deepEqual(await recovered(disk, 0, { pageSize: 20 }), [1, 2]);
  });

  test('a page in the middle that is valid in part ends the section behind that part', async () => {
    const disk = new SimulatedDisk();
    const store = await PairStore.create(disk);
    await store.append(1);
    await store.commit();
    await store.append(2, 3, 4, 5);
    await store.commit();
    await store.close();
    change(disk, keyFile(0), 64 + 6 + 2, Buffer.alloc(4, 0xff));
    assert.deepEqual(await recovered(disk), [1]);
  });

  test('bytes behind the last whole page are cut', async () => {
    const { disk } = await built([3]);
    disk.mutate(keyFile(0), (bytes) => Buffer.concat([bytes, Buffer.alloc(6, 0xab)]));
    const store = await PairStore.recover(disk);
    assert.deepEqual(await store.ids(0), [1, 2, 3]);
    assert.equal(disk.bytesOf(keyFile(0)).length, headerSize + 76);
    assert.deepEqual(await store.append(4), [3]);
    await store.commit();
    await store.close();
    assert.deepEqual(await recovered(disk), [1, 2, 3, 4]);
  });

  test('a file with nothing but a part of a page is an empty section', async () => {
    const { disk } = await built([1]);
    cutContent(disk, keyFile(0), 10);
    const store = await PairStore.recover(disk);
    assert.deepEqual(await store.append(5), [0]);
    await store.commit();
    assert.deepEqual(await store.ids(0), [5]);
    await store.close();
  });

  test('a missing value file ends the store before its section', async () => {
    const { disk } = await built([2, 3]);
    disk.mutate(valueFile(1), () => undefined);
    const store = await PairStore.recover(disk);
    assert.deepEqual(await store.ids(0), [1, 2]);
    assert.deepEqual(disk.files(), [keyFile(0), valueFile(0)]);
    await store.close();
  });

  test('value sections without a key section are removed, the newest first', async () => {
    const { disk } = await built([2]);
    const orphans = [1, 2, 5].map(valueFile);
    for (const path of orphans) disk.place(path, disk.bytesOf(valueFile(0)));
    assert.deepEqual(await recovered(disk), [1, 2]);
    assert.deepEqual(disk.files(), [keyFile(0), valueFile(0)]);
    const removed = disk.log.filter((operation) => operation.kind === 'remove').map((operation) => operation.path);
    assert.deepEqual(removed, orphans.reverse());
  });

  test('a new section whose first files are empty is begun again', async () => {
    const { disk } = await built([2, 0]);
    const store = await PairStore.recover(disk);
    assert.equal(store.end.section, 0);
    await store.rollover();
    assert.deepEqual(await store.append(8), [0]);
    await store.commit();
    await store.close();
    assert.deepEqual(await recovered(disk, 1), [8]);
  });

  test('a damaged value in a section with a complete one behind it is not cut but refused', async () => {
    const { disk } = await built([3, 5, 2]);
    cutContent(disk, valueFile(1), 3 * frameSize);
    await refused(disk, {}, /section is not complete .*expected a complete section/);
  });

  test('a record that does not lie where the last value ended is refused', async () => {
    const { disk } = await built([2], 20);
    disk.mutate(keyFile(0), (bytes) => {
      const page = bytes.subarray(headerSize + 32);
      page.writeUInt32BE(99, 12);
      page.writeUInt32BE(crc32c(page.subarray(0, 20)), 22);
      return bytes;
    });
    await refused(disk, { pageSize: 20 }, /record 1: expected a value at 20, found one at 99/);
  });

  test('a record whose value would end behind 2^53 is refused as corruption', async () => {
    const { disk } = await built([2], 20);
    disk.mutate(keyFile(0), (bytes) => {
      const page = bytes.subarray(headerSize + 32);
      page.fill(0xff, 8, 16);
      page.writeUInt32BE(crc32c(page.subarray(0, 20)), 22);
      return bytes;
    });
    await refused(disk, { pageSize: 20 }, /record 1/);
  });
});

describe('at and below the durable end', () => {
  test('what a commit returned for and is not there is refused, and nothing is changed', async () => {
    for (const damage of [
      (disk: SimulatedDisk) => cutContent(disk, valueFile(0), 3 * frameSize),
      (disk: SimulatedDisk) => cutContent(disk, valueFile(0), 5 * frameSize - 1),
      (disk: SimulatedDisk) => cutContent(disk, keyFile(0), 76),
      (disk: SimulatedDisk) => change(disk, keyFile(0), 3, Buffer.from([0xff])),
      (disk: SimulatedDisk) => change(disk, valueFile(0), 3, Buffer.from([0xff])),
      (disk: SimulatedDisk) => disk.mutate(valueFile(0), () => undefined),
      (disk: SimulatedDisk) => disk.mutate(keyFile(0), () => undefined),
    ]) {
      const { disk, ends } = await built([5]);
      damage(disk);
      const [mark] = ends;
      assert.ok(mark !== undefined);
      await refused(disk, { mark }, /committed records are missing/);
    }
  });

  test('a checkpoint that the journals do not reach is refused, and nothing is changed', async () => {
    for (const [damage, message] of [
      [(disk: SimulatedDisk) => cutContent(disk, keyFile(1), 76), /2 pages of 64 bytes that the checkpoint covers/],
      [(disk: SimulatedDisk) => cutContent(disk, valueFile(1), 5 * frameSize - 1), /100 bytes that the checkpoint/],
      [(disk: SimulatedDisk) => change(disk, keyFile(1), 76 + 3, Buffer.from([0xff])), /page 1/],
      [(disk: SimulatedDisk) => disk.mutate(keyFile(1), () => undefined), /key\/0{15}1.*a file of the store/],
      [(disk: SimulatedDisk) => disk.mutate(valueFile(1), () => undefined), /value\/0{15}1.*a file of the store/],
      [(disk: SimulatedDisk) => disk.mutate(keyFile(0), () => undefined), /key\/0{16}.*a file of the store/],
      [(disk: SimulatedDisk) => disk.mutate(valueFile(0), () => undefined), /value\/0{16}.*a file of the store/],
      [(disk: SimulatedDisk) => cutContent(disk, valueFile(0), 2 * frameSize), /values up to 60/],
      [(disk: SimulatedDisk) => cutContent(disk, keyFile(0), 0), /whole pages of 76 bytes/],
      [(disk: SimulatedDisk) => cutContent(disk, keyFile(0), 75), /whole pages of 76 bytes/],
    ] as const) {
      const { disk, ends } = await built([3, 5]);
      damage(disk);
      const from = ends[1];
      assert.ok(from !== undefined);
      await refused(disk, { from }, message);
      await refused(disk, { from, exactly: true }, message);
    }
  });

  test('a sealed section that grew behind its last value is refused', async () => {
    const { disk, ends } = await built([3, 5]);
    disk.mutate(valueFile(0), (bytes) => Buffer.concat([bytes, Buffer.alloc(20)]));
    await refused(disk, { from: ends[1] ?? assert.fail() }, /values up to 60, found 80 bytes/);
  });

  test('a sealed section that is another than the manifest says is refused', async () => {
    const { disk, ends } = await built([3, 5]);
    const [first, second] = ends;
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual(await recovered(disk, 1, { from: second, sealed: [first] }), [4, 5, 6, 7, 8]);
    const other = { ...first, keyBytes: first.keyBytes + pairLayout.size };
    await refused(disk, { from: second, sealed: [other] }, /expected 80 key and 60 value bytes/);
    await refused(disk, { from: second, sealed: [] }, /a line in the section manifest/);
  });

  test('a section that lost its end cleanly, with another one behind it, is refused by the mark in it', async () => {
    const { disk, ends } = await built([5, 3]);
    const { disk: shorter } = await built([3]);
    for (const file of [keyFile(0), valueFile(0)]) disk.place(file, shorter.bytesOf(file));
    const [mark] = ends;
    assert.ok(mark !== undefined);
    await refused(disk, { mark }, /committed records are missing/);
  });

  test('values without records in a section with another one behind it are refused', async () => {
    const { disk } = await built([3, 3]);
    disk.mutate(valueFile(0), (bytes) => Buffer.concat([bytes, Buffer.alloc(frameSize)]));
    await refused(disk, {}, /section is not complete/);
  });

  test('a rotten value of an older section is found when it is read, not before', async () => {
    const { disk, ends } = await built([3, 5]);
    change(disk, valueFile(0), frameSize, Buffer.from([0xee]));
    const store = await PairStore.recover(disk, { from: ends[1] ?? assert.fail() });
    assert.equal((await store.ids(1)).length, 5);
    await assert.rejects(store.ids(0), { code: 'corruption' });
    await store.close();
  });

  test('everything behind the durable end is discarded on request', async () => {
    const disk = new SimulatedDisk();
    const store = await PairStore.create(disk);
    await store.append(1, 2, 3);
    const from = await store.commit();
    await store.append(4, 5);
    await store.commit();
    await store.rollover();
    await store.append(6);
    await store.commit();
    await store.close();
    const restored = await PairStore.recover(disk, { from, exactly: true });
    assert.deepEqual(await restored.ids(0), [1, 2, 3]);
    assert.deepEqual(disk.files(), [keyFile(0), valueFile(0)]);
    assert.deepEqual(await restored.append(9), [3]);
    await restored.commit();
    await restored.close();
    assert.deepEqual(await recovered(disk, 0, { from }), [1, 2, 3, 9]);
  });

  test('an empty durable end removes all that was written', async () => {
    const { disk } = await built([3, 2]);
    await recovered(disk, 0, { exactly: true });
    assert.deepEqual(disk.files(), []);
  });
});

describe('the order of a cut', () => {
  /** A store of which a crash loses the second commit's values, so that both files must be cut. */
  async function torn(): Promise<{ disk: SimulatedDisk; from: JournalEnd }> {
    const disk = new SimulatedDisk();
    const store = await PairStore.create(disk);
    await store.append(1);
    const from = await store.commit();
    await store.append(2, 3, 4, 5);
    await store.commit();
    await store.close();
    change(disk, valueFile(0), frameSize, Buffer.from([0xee]));
    return { disk, from };
  }

  test('the key index is durable without the records before a value is cut', async () => {
    const { disk, from } = await torn();
    const before = disk.log.length;
    await recovered(disk, 0, { from });
    const order = disk.log
      .slice(before)
      .filter(({ kind, step }) => step !== undefined && kind !== 'syncDirectory')
      .map(({ kind, path }) => `${kind} ${path === keyFile(0) ? 'keys' : path === valueFile(0) ? 'values' : path}`);
    assert.deepEqual(order.slice(0, 2), ['truncate keys', 'sync keys']);
    assert.deepEqual(order.slice(-2), ['truncate values', 'sync values']);
    const steps = order.slice(2, -2);
    assert.ok(steps.length >= 4);
    assert.ok(
      steps.every((step, index) => step === (index % 2 === 0 ? 'write keys' : 'sync keys')),
      String(order),
    );
  });

  test('what a killed process had cut without making it durable is durable after the next opening', async () => {
    for (const cutPath of [keyFile(0), valueFile(0)]) {
      const { disk, from } = await torn();
      disk.failAt(({ kind, path }) => kind === 'truncate' && path === cutPath, 'crash-after');
      await assert.rejects(PairStore.recover(disk, { from }));
      const killed = disk.crash('all');
      await recovered(killed, 0, { from });
      const lost = killed.crash('synced');
      assert.deepEqual(lost.bytesOf(cutPath), killed.bytesOf(cutPath));
    }
  });

  test('a crash at any step of it leaves a store that recovers to the same pairs', async () => {
    const whole = await torn();
    const before = whole.disk.steps;
    await recovered(whole.disk, 0, { from: whole.from });
    const stepCount = whole.disk.steps - before;
    assert.ok(stepCount >= 6, `${stepCount} steps`);
    for (let step = 1; step <= stepCount; step++) {
      for (const survival of ['synced', 'all', 'allDurable', { seed: step, sectorSizes: [1] }] as const) {
        const { disk, from } = await torn();
        disk.failAt(disk.steps + step, 'crash');
        await assert.rejects(PairStore.recover(disk, { from }));
        assert.deepEqual(await recovered(disk.crash(survival), 0, { from }), [1]);
      }
    }
  });

  test('a cut that cannot be made durable fails the recovery', async () => {
    const { disk, from } = await torn();
    disk.failAt((operation) => operation.kind === 'sync' && operation.path === keyFile(0), 'eio');
    await assert.rejects(PairStore.recover(disk, { from }), { code: 'disk-failed' });
    assert.deepEqual(disk.bytesOf(valueFile(0)).length, headerSize + 5 * frameSize);
  });
});

describe('bytes that are readable but not durable', () => {
  test('are written again and made durable before anything is built on them', async () => {
    const disk = new SimulatedDisk();
    const store = await PairStore.create(disk);
    await store.append(1, 2, 3);
    const staged = store.oversized.stage();
    assert.ok(staged?.keys !== undefined && staged.values !== undefined);
    await store.oversized.keys.write(staged.keys);
    await store.oversized.values.write(staged.values);
    const killed = disk.crash('all');
    assert.deepEqual(await recovered(killed), [1, 2, 3]);
    assert.deepEqual(await recovered(killed.crash('synced')), [1, 2, 3]);
    assert.deepEqual(await recovered(disk.crash('synced')), []);
    await store.close();
  });

  for (const partition of ['key', 'value']) {
    test(`are written again when a failed fsync of the ${partition} file has left them clean`, async () => {
      const disk = new SimulatedDisk();
      const store = await PairStore.create(disk);
      await store.append(1, 2, 3);
      disk.failAt(({ kind, path }) => kind === 'sync' && path === `${partition}/${sectionName(0)}`, 'eio');
      await assert.rejects(store.commit(), { code: 'disk-failed' });
      await store.close();
      assert.deepEqual(await recovered(disk), [1, 2, 3]);
      assert.deepEqual(await recovered(disk.crash('synced')), [1, 2, 3]);
    });
  }
});
