import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLogger } from '../../src/base/logger.ts';
import { HeadDigests } from '../../src/freezer/head-digests.ts';
import type { SavedCheckpoint } from '../../src/shard/checkpoint-file.ts';
import { rebuildShard } from '../../src/shard/rebuild.ts';
import {
  prepareTableDigests,
  readTableDigests,
  tableDigestDamage,
  tableDigestFile,
  tableDigestFiles,
  writeTableDigests,
} from '../../src/shard/table-digests.ts';
import { mixSeed } from '../simulation/random.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { FakeLock, openShard, put, settled, textOf, tinySettings } from './shard-harness.ts';

const instance = '01234567-89ab-cdef-0123-456789abcdef';
const tableSize = 256;

function savedAt(epoch: number, clean = false): SavedCheckpoint {
  return {
    checkpoint: { epoch, section: 0, keyBytes: 0, tableSize },
    instance,
    valueBytes: 0,
    table: { resizeProgress: undefined, resizable: 0, initialSize: tableSize },
    tableBytes: 0,
    resizeFrequency: 2,
    clean,
    savedAtMs: 0,
  };
}

function digestsWith(position: number): HeadDigests {
  const digests = HeadDigests.ofEmpty(tableSize);
  digests.change(70, undefined, { section: 1, position });
  return digests;
}

/** A disk with the digests of these epochs, written in this order. */
async function diskWith(...epochs: readonly number[]): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  await prepareTableDigests(disk);
  for (const epoch of epochs) await writeTableDigests(disk, savedAt(epoch), digestsWith(epoch));
  return disk;
}

describe('the digests of the table', () => {
  test('are read as they were written, those of the checkpoint before too', async () => {
    const disk = await diskWith(1, 2, 3);
    for (const epoch of [2, 3]) {
      const { words, windowBuckets } = await readTableDigests(disk, savedAt(epoch));
      assert.deepEqual([words, windowBuckets], [digestsWith(epoch).words, 64]);
    }
    await assert.rejects(readTableDigests(disk, savedAt(1)), { code: 'damaged' });
  });

  test('are durable when they are written, names included', async () => {
    const disk = await diskWith(1, 2);
    assert.deepEqual((await readTableDigests(disk.crash('synced'), savedAt(2))).words, digestsWith(2).words);
    assert.deepEqual(await tableDigestDamage(disk.crash('synced'), savedAt(2)), []);
  });

  test('of a smaller table leave nothing of a larger one behind', async () => {
    const disk = await diskWith(1);
    const digests = HeadDigests.ofEmpty(2 * tableSize);
    await writeTableDigests(disk, savedAt(3), digests);
    await writeTableDigests(disk, savedAt(5), digestsWith(5));
    assert.deepEqual((await readTableDigests(disk, savedAt(5))).words, digestsWith(5).words);
  });

  test('are refused after a flipped bit of any byte, and when cut or extended at any length', async () => {
    const whole = await diskWith(1, 2);
    const path = tableDigestFile(2);
    const { length } = whole.bytesOf(path);
    const refused = async (what: string, change: (bytes: Buffer) => Buffer): Promise<void> => {
      const disk = whole.clone();
      disk.mutate(path, change);
      await assert.rejects(readTableDigests(disk, savedAt(2)), { code: 'damaged' }, what);
      const [problem] = await tableDigestDamage(disk, savedAt(2));
      assert.match(problem ?? '', /^table-digests-0: /, what);
    };
    for (let at = 0; at < length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        await refused(`bit ${bit} of byte ${at}`, (bytes) => {
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
          return bytes;
        });
      }
      await refused(`cut to ${at}`, (bytes) => bytes.subarray(0, at));
    }
    await refused('extended', (bytes) => Buffer.concat([bytes, Buffer.alloc(4)]));
  });

  test('of another shard, another epoch, another size of the table, or of none at all, are refused', async () => {
    const disk = await diskWith(1, 2);
    const other = { ...savedAt(2), instance: instance.replace('0', '1') };
    await assert.rejects(readTableDigests(disk, other), { code: 'damaged' });
    await assert.rejects(readTableDigests(disk, savedAt(4)), { code: 'damaged' });
    const checkpoint = { ...savedAt(2).checkpoint, tableSize: 2 * tableSize };
    await assert.rejects(readTableDigests(disk, { ...savedAt(2), checkpoint }), { code: 'damaged' });
    await disk.remove(tableDigestFile(2));
    await assert.rejects(readTableDigests(disk, savedAt(2)), { code: 'damaged' });
  });

  test('of the checkpoint before are named when they are torn, or not what a clean close leaves', async () => {
    const disk = await diskWith(1, 2, 3);
    assert.deepEqual(await tableDigestDamage(disk, savedAt(3, true)), []);
    assert.deepEqual(await tableDigestDamage(disk, savedAt(2)), [], 'a crash before the third checkpoint');
    assert.equal((await tableDigestDamage(disk, savedAt(2, true))).length, 1);
    disk.mutate(tableDigestFile(2), (bytes) => bytes.subarray(0, 20));
    const [problem] = await tableDigestDamage(disk, savedAt(3));
    assert.match(problem ?? '', /^table-digests-0: a write to it was torn/);
  });
});

test('digests are durable before the checkpoint that needs them is written', async () => {
  const opened = await openShard();
  await settled(opened.shard.put(put('p1', { a: 'one' })), opened.clock);
  const from = opened.disk.log.length;
  await settled(opened.shard.close(), opened.clock);
  const steps = opened.disk.log.slice(from).filter(({ kind }) => kind === 'write' || kind === 'sync');
  const digests = tableDigestFiles as readonly string[];
  let count = 0;
  for (const [index, { kind, path }] of steps.entries()) {
    if (!digests.includes(path) || kind !== 'write') continue;
    const rest = steps.slice(index + 1).map((step) => `${step.kind} ${step.path}`);
    const synced = rest.indexOf(`sync ${path}`);
    assert.ok(synced >= 0 && synced < rest.indexOf('write checkpoint'), rest.join());
    count++;
  }
  assert.ok(count > 0);
});

test('a shard makes a file of digests again that it does not need, and refuses without the one that it needs', async () => {
  const opened = await openShard();
  await settled(opened.shard.put(put('p1', { a: 'one' })), opened.clock);
  await settled(opened.shard.close(), opened.clock);
  const { epoch } = opened.shard.checkpoint;
  const without = async (path: string): Promise<SimulatedDisk> => {
    const disk = opened.disk.clone();
    await disk.remove(path);
    return disk;
  };
  const disk = await without(tableDigestFile(epoch - 1));
  const again = await openShard(disk);
  await settled(again.shard.put(put('p2', { b: 'two' })), again.clock);
  await settled(again.shard.close(), again.clock);
  assert.ok(disk.files().includes(tableDigestFile(epoch - 1)));
  await assert.rejects(openShard(await without(tableDigestFile(epoch))), (error: Error) =>
    /permafrost rebuild/.test(error.message),
  );
});

test('a rebuild that is cut off while it writes the digests leaves a shard that opens', async () => {
  const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
  const { shard, disk, clock } = await openShard();
  for (const [index, key] of keys.entries()) {
    await settled(shard.put(put(`p${index}`, { [key]: key })), clock);
    if (index % 3 === 0) clock.advance(tinySettings.syncIntervalMs);
  }
  assert.ok(
    shard.freezer.tableSize > tinySettings.engine.tableInitialSize,
    'chains are shared: a rebuild has other heads',
  );
  await settled(shard.close(), clock);
  const rebuild = (on: SimulatedDisk) =>
    rebuildShard({ disk: on, lock: new FakeLock(), clock, logger: silentLogger }, tinySettings);
  const whole = disk.clone();
  const steps: number[] = [];
  whole.watchSteps((step, { path }) => {
    if (path.startsWith('table-digests')) steps.push(step);
  });
  await rebuild(whole);
  let states = 0;
  for (const step of steps) {
    const cut = disk.clone();
    cut.failAt(step, 'crash-after');
    await assert.rejects(rebuild(cut));
    for (let seed = 0; seed < 4; seed++) {
      const again = await openShard(cut.crash({ seed: mixSeed(step, seed) }));
      for (const key of keys) assert.equal(await textOf(again.shard, key), `=${key}`);
      await settled(again.shard.close(), again.clock);
      states++;
    }
  }
  assert.ok(states >= 20, `${states} states`);
});
