import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLogger } from '../../src/base/logger.ts';
import { headerSize } from '../../src/blob/header.ts';
import { type BackupReport, backupShard } from '../../src/shard/backup.ts';
import { backupFile, unfinishedBackupFile } from '../../src/shard/backup-manifest.ts';
import { inspectShard } from '../../src/shard/inspect.ts';
import { lastBackupFile, readLastSuccess } from '../../src/shard/last-success.ts';
import { type RestoreReport, restoreShard } from '../../src/shard/restore.ts';
import type { Shard } from '../../src/shard/shard.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { readVolume } from '../../src/shard/volume.ts';
import type { Fault } from '../simulation/gate.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import {
  FakeLock,
  type OpenedShard,
  openShard,
  put,
  settled,
  textOf,
  tinyEngine,
  tinySettings,
  turns,
} from './shard-harness.ts';

function backup(shard: SimulatedDisk, target: SimulatedDisk, lock = new FakeLock()): Promise<BackupReport> {
  return backupShard(shard, { disk: target, lock }, { clock: new ManualClock() });
}

function restore(from: SimulatedDisk, to: SimulatedDisk): Promise<RestoreReport> {
  return restoreShard(from, { disk: to, lock: new FakeLock(), clock: new ManualClock() });
}

async function restored(from: SimulatedDisk): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  await restore(from, disk);
  return disk;
}

/** Puts `count` keys, each with a text that fills some of a section; one key is written again and again. */
async function fill({ shard, clock }: OpenedShard, first: number, count: number): Promise<void> {
  for (let index = first; index < first + count; index++) {
    const texts = { [`k${index}`]: textFor(index), again: `${index}` };
    await settled(shard.put(put(`p${index}`, texts)), clock);
  }
}

function textFor(index: number): string {
  return `${index} ${'x'.repeat(40)}`;
}

/** Lets the shard sync: what was put before is in its newest checkpoint. */
async function synced({ shard, clock }: OpenedShard, count: number): Promise<void> {
  for (let turn = 0; turn < 1000 && shard.checkpoint.records < 2 * count; turn++) {
    clock.advance(clock.nextTimerMs ?? 0);
    await turns(8);
  }
  assert.equal(shard.checkpoint.records, 2 * count);
}

/** Keys 0 to below `count` are there with their text; the next one is not. */
async function judge(disk: SimulatedDisk, count: number): Promise<void> {
  const deps = { disk, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
  const report = await verifyShard(deps, tinySettings);
  assert.deepEqual(report.problems, []);
  assert.equal(report.recordCount, 2 * count);
  const { shard, clock } = await openShard(disk);
  await hasAll(shard, count);
  await settled(shard.close(), clock);
  assert.deepEqual(disk.openHandles, []);
}

async function hasAll(shard: Shard, count: number): Promise<void> {
  for (let index = 0; index < count; index++) assert.equal(await textOf(shard, `k${index}`), `=${textFor(index)}`);
  assert.equal(await textOf(shard, `k${count}`), 'missing');
  if (count > 0) assert.equal(await textOf(shard, 'again'), `=${count - 1}`);
}

async function closedWith(count: number): Promise<SimulatedDisk> {
  const opened = await openShard();
  await fill(opened, 0, count);
  await settled(opened.shard.close(), opened.clock);
  return opened.disk;
}

function flip(disk: SimulatedDisk, path: string, at: number): void {
  disk.mutate(path, (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    return bytes;
  });
}

describe('a backup', () => {
  test('of a closed shard is restored with all of its records', async () => {
    const target = new SimulatedDisk();
    const report = await backup(await closedWith(20), target);
    assert.equal(report.recordCount, 40);
    assert.ok(report.sectionCount > 2);
    assert.equal(report.keptBytes, 0);
    assert.deepEqual(target.openHandles, []);
    await judge(await restored(target), 20);
  });

  test('of a shard that was never put to is restored to an empty one', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(0), target);
    await judge(await restored(target), 0);
  });

  test('of a shard that its worker has open is of its checkpoint, and disturbs nothing', async () => {
    const opened = await openShard();
    await fill(opened, 0, 10);
    await synced(opened, 10);
    await fill(opened, 10, 3);
    const target = new SimulatedDisk();
    const covered = opened.shard.checkpoint.records / 2;
    await backup(opened.disk, target);
    await fill(opened, 13, 1);
    await hasAll(opened.shard, 14);
    await settled(opened.shard.close(), opened.clock);
    await judge(await restored(target), covered);
    await judge(opened.disk, 14);
  });

  test('goes on where the last one ended: only what is new is copied', async () => {
    const opened = await openShard();
    await fill(opened, 0, 10);
    await synced(opened, 10);
    const target = new SimulatedDisk();
    const first = await backup(opened.disk, target);
    const unchanged = await backup(opened.disk, target);
    assert.deepEqual([unchanged.copiedBytes, unchanged.keptBytes], [0, first.copiedBytes]);
    const before = target.snapshot();
    await fill(opened, 10, 10);
    await synced(opened, 20);
    const second = await backup(opened.disk, target);
    assert.equal(second.keptBytes, first.copiedBytes);
    assert.ok(second.copiedBytes > 0 && second.sectionCount > first.sectionCount);
    for (const [path, bytes] of before) {
      if (path === backupFile) continue;
      assert.ok(target.bytesOf(path).subarray(0, bytes.length).equals(bytes), `${path} only grew`);
    }
    await settled(opened.shard.close(), opened.clock);
    await judge(await restored(target), 20);
  });

  test('reads again the page that the worker is just writing, and takes what the checkpoint covers', async () => {
    const opened = await openShard();
    await fill(opened, 0, 5);
    await synced(opened, 5);
    await fill(opened, 5, 1);
    const { saved } = await inspectShard(opened.disk, tinyEngine, 0);
    const path = `key/${saved.checkpoint.section.toString(16).padStart(16, '0')}`;
    assert.notEqual(saved.checkpoint.keyBytes % tinyEngine.pageSize, 0);
    const torn = opened.disk.clone();
    const whole = Buffer.from(torn.bytesOf(path));
    // Neither checksum of the page that the checkpoint ends in matches until the write is over.
    const page = Math.floor(saved.checkpoint.keyBytes / tinyEngine.pageSize);
    flip(torn, path, headerSize + page * (tinyEngine.pageSize + 12));
    const target = new SimulatedDisk();
    const running = backup(torn, target);
    while (!target.files().some((file) => file.startsWith('value/')))
      await new Promise((resolve) => setImmediate(resolve));
    torn.mutate(path, () => whole);
    await running;
    await settled(opened.shard.close(), opened.clock);
    await judge(await restored(target), 5);
  });

  test('is durable when it returns, after each of several', async () => {
    const opened = await openShard();
    const target = new SimulatedDisk();
    for (const count of [5, 10, 20]) {
      await fill(opened, opened.shard.checkpoint.records / 2, count - opened.shard.checkpoint.records / 2);
      await synced(opened, count);
      await backup(opened.disk, target);
      await judge(await restored(target.crash('synced')), count);
    }
    await settled(opened.shard.close(), opened.clock);
  });

  test('leaves its time in the shard for the worker to tell', async () => {
    const shard = await closedWith(1);
    assert.equal(await readLastSuccess(shard, lastBackupFile), undefined);
    assert.equal((await backup(shard, new SimulatedDisk())).untold, undefined);
    assert.equal(await readLastSuccess(shard, lastBackupFile), new ManualClock().wallMs());
  });

  test('is refused while another one writes to the same directory', async () => {
    const lock = new FakeLock();
    await lock.acquire();
    await assert.rejects(backup(await closedWith(1), new SimulatedDisk(), lock), { code: 'owned' });
  });
});

describe('a backup of a shard that has rotted', () => {
  test('stops where it meets the rot and keeps the backup before', async () => {
    const opened = await openShard();
    await fill(opened, 0, 10);
    await synced(opened, 10);
    const target = new SimulatedDisk();
    await backup(opened.disk, target);
    await fill(opened, 10, 20);
    await settled(opened.shard.close(), opened.clock);
    const shard = opened.disk;
    const { sealed } = await inspectShard(shard, tinyEngine, 0);
    const last = `value/${(sealed.length - 2).toString(16).padStart(16, '0')}`;
    flip(shard, last, shard.bytesOf(last).length - 30);
    await assert.rejects(backup(shard, target), (error: Error) => {
      assert.match(error.message, new RegExp(`${last} at \\d+: value of`));
      return true;
    });
    assert.deepEqual(target.openHandles, []);
    await judge(await restored(target), 10);
  });

  test('never takes over rot of what it has already', async () => {
    const shard = await closedWith(20);
    const target = new SimulatedDisk();
    await backup(shard, target);
    flip(shard, 'value/0000000000000000', 40);
    flip(shard, 'key/0000000000000001', 40);
    assert.equal((await backup(shard, target)).copiedBytes, 0);
    await judge(await restored(target), 20);
  });

  test('names a page of the key index that rotted', async () => {
    const shard = await closedWith(20);
    flip(shard, 'key/0000000000000001', 40);
    await assert.rejects(backup(shard, new SimulatedDisk()), {
      code: 'corruption',
      message: /^key\/0000000000000001 at 8: page 0/,
    });
  });
});

describe('a backup directory', () => {
  test('of another shard is refused', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(3), target);
    const before = target.snapshot();
    await assert.rejects(backup(await closedWith(3), target), {
      code: 'backup-mismatch',
      message: /holds a backup of instance/,
    });
    assert.deepEqual(target.snapshot(), before);
  });

  test('that is the shard itself, or holds something else, is refused', async () => {
    const shard = await closedWith(3);
    await assert.rejects(backup(shard, shard), { code: 'backup-mismatch' });
    const other = new SimulatedDisk();
    await (await other.open('notes', { create: true })).close();
    await assert.rejects(backup(shard, other), { code: 'backup-mismatch', message: /holds notes/ });
  });

  test('of a volume that was rolled back and wrote something else since is refused', async () => {
    const opened = await openShard();
    await fill(opened, 0, 6);
    await synced(opened, 6);
    const snapshot = opened.disk.clone();
    await fill(opened, 6, 6);
    await settled(opened.shard.close(), opened.clock);
    const target = new SimulatedDisk();
    await backup(opened.disk, target);
    const again = await openShard(snapshot);
    await assert.rejects(backup(snapshot, target), { code: 'backup-mismatch', message: /goes on behind/ });
    // The same keys and sizes at the same places: nothing but the put ids is another.
    for (let index = 6; index < 20; index++) {
      const texts = { [`k${index}`]: textFor(index), again: `${index}` };
      await settled(again.shard.put(put(`q${index}`, texts)), again.clock);
    }
    await settled(again.shard.close(), again.clock);
    await assert.rejects(backup(snapshot, target), { code: 'backup-mismatch', message: /another history/ });
    await judge(await restored(target), 12);
  });

  test('that lost a file gets it anew from the shard', async () => {
    const shard = await closedWith(20);
    const target = new SimulatedDisk();
    const { copiedBytes } = await backup(shard, target);
    const whole = target.snapshot();
    for (const path of target.files().filter((file) => /^(key|value)\//.test(file))) {
      target.mutate(path, () => undefined);
      await assert.rejects(restored(target), {
        code: 'backup-damaged',
        message: new RegExp(`^${path}: the file is missing`),
      });
      const again = await backup(shard, target);
      assert.ok(again.copiedBytes > 0 && again.copiedBytes < copiedBytes);
      assert.deepEqual(target.bytesOf(path), whole.get(path));
    }
    await judge(await restored(target), 20);
  });

  test('that lost a file does not take it from another history', async () => {
    const opened = await openShard();
    await fill(opened, 0, 6);
    await synced(opened, 6);
    const snapshot = opened.disk.clone();
    await fill(opened, 6, 6);
    await settled(opened.shard.close(), opened.clock);
    const target = new SimulatedDisk();
    await backup(opened.disk, target);
    const again = await openShard(snapshot);
    for (let index = 6; index < 40; index++) {
      const texts = { [`k${index}`]: textFor(index), again: `${index}` };
      await settled(again.shard.put(put(`q${index}`, texts)), again.clock);
    }
    await settled(again.shard.close(), again.clock);
    const last = target.files().findLast((path) => path.startsWith('value/')) ?? '';
    target.mutate(last, () => undefined);
    await assert.rejects(backup(snapshot, target), { code: 'backup-mismatch', message: /another history/ });
  });

  test('without a shard to back up is left alone', async () => {
    const target = new SimulatedDisk();
    await assert.rejects(backup(new SimulatedDisk(), target), { code: 'nothing-to-back-up' });
    assert.deepEqual(target.files(), []);
  });
});

describe('a backup that was cut short', () => {
  test('is never restored, and the next one goes on behind its complete sections', async () => {
    const shard = await closedWith(20);
    const whole = new SimulatedDisk();
    const { copiedBytes } = await backup(shard, whole);
    const copies: SimulatedDisk[] = [];
    const target = new SimulatedDisk();
    target.watchSteps(() => copies.push(target.clone()));
    await backup(shard, target);
    const cutShort = copies.filter((copy) => !copy.files().includes(backupFile));
    const half = cutShort.findLast((copy) => copy.files().includes(unfinishedBackupFile));
    assert.ok(half !== undefined);
    await assert.rejects(restored(half), { code: 'backup-incomplete' });
    const report = await backup(shard, half);
    assert.ok(report.keptBytes > 0 && report.copiedBytes < copiedBytes);
    assert.ok(!half.files().includes(unfinishedBackupFile));
    await judge(await restored(half), 20);
  });
});

describe('a disk that fails below', () => {
  /** Does the work once for each of its steps on the disk, which fails at that step. */
  async function failing(
    fault: Fault,
    start: () => SimulatedDisk,
    work: (disk: SimulatedDisk) => Promise<unknown>,
    judgeFailed: (disk: SimulatedDisk) => Promise<void>,
  ): Promise<void> {
    for (let step = 1; ; step++) {
      const disk = start();
      const armed = disk.failAt(disk.steps + step, fault);
      const failed = await work(disk).then(
        () => false,
        () => true,
      );
      assert.deepEqual(disk.openHandles, [], `step ${step}`);
      if (armed.hits === 0) return;
      armed.disarm();
      assert.ok(failed, `step ${step}`);
      await judgeFailed(disk);
    }
  }

  test('a backup, wherever it fails, leaves the one before, and the next one goes on', async () => {
    const opened = await openShard();
    await fill(opened, 0, 5);
    await synced(opened, 5);
    const first = new SimulatedDisk();
    await backup(opened.disk, first);
    await fill(opened, 5, 7);
    await settled(opened.shard.close(), opened.clock);
    for (const fault of ['enospc', 'eio'] as const) {
      await failing(
        fault,
        () => first.clone(),
        (target) => backup(opened.disk, target),
        async (target) => {
          const { recordCount } = await restore(target.clone(), new SimulatedDisk());
          assert.ok(recordCount === 10 || recordCount === 24, `${recordCount} records`);
          await backup(opened.disk, target);
          assert.equal((await restore(target, new SimulatedDisk())).recordCount, 24);
        },
      );
    }
  });

  test('a restore, wherever it fails, leaves no shard', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(6), target);
    for (const fault of ['enospc', 'eio'] as const) {
      await failing(
        fault,
        () => new SimulatedDisk(),
        (disk) => restore(target, disk),
        async (disk) => {
          const { kind } = await readVolume(disk);
          // The last fsync of all is that of the directory: the shard is whole before it.
          assert.ok(kind === 'empty' || kind === 'orphaned' || kind === 'whole', kind);
          if (kind === 'whole') await judge(disk, 6);
        },
      );
    }
  });
});

describe('a restore', () => {
  test('is a new instance with the old records at the old cursors', async () => {
    const shard = await closedWith(20);
    const target = new SimulatedDisk();
    const { instance } = await backup(shard, target);
    const disk = new SimulatedDisk();
    const report = await restore(target, disk);
    assert.equal(report.backedUpInstance, instance);
    assert.notEqual(report.instance, instance);
    const before = await inspectShard(shard, tinyEngine, 0);
    const after = await inspectShard(disk, tinyEngine, 0);
    assert.equal(after.identity.instance, report.instance);
    assert.deepEqual(after.saved.checkpoint, before.saved.checkpoint);
    assert.deepEqual(after.sealed, before.sealed);
    for (const { section } of before.sealed) {
      const path = `value/${section.toString(16).padStart(16, '0')}`;
      assert.deepEqual(disk.bytesOf(path), shard.bytesOf(path));
    }
  });

  test('is durable when it returns', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(20), target);
    await judge((await restored(target)).crash('synced'), 20);
  });

  test('goes on being put to, backed up and restored', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(9), target);
    const opened = await openShard(await restored(target));
    await fill(opened, 9, 9);
    await settled(opened.shard.close(), opened.clock);
    const second = new SimulatedDisk();
    await backup(opened.disk, second);
    await judge(await restored(second), 18);
    await assert.rejects(backup(opened.disk, target), { code: 'backup-mismatch' });
  });

  test('is refused where anything is', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(1), target);
    const occupied = new SimulatedDisk();
    await (await occupied.open('notes', { create: true })).close();
    await assert.rejects(restore(target, occupied), { code: 'target-in-use', message: /found notes/ });
    await assert.rejects(restore(new SimulatedDisk(), new SimulatedDisk()), { code: 'backup-incomplete' });
  });

  test('finds every flipped bit and every shortened file of the backup, and leaves no shard', async () => {
    const target = new SimulatedDisk();
    await backup(await closedWith(6), target);
    for (const path of target.files()) {
      const { length } = target.bytesOf(path);
      for (let at = 0; at < length; at += 7) {
        const damaged = target.clone();
        flip(damaged, path, at);
        await refusedToRestore(damaged, `${path} flipped at ${at}`);
      }
      const shorter = target.clone();
      shorter.mutate(path, (bytes) => bytes.subarray(0, length - 2));
      await refusedToRestore(shorter, `${path} shortened`);
    }
  });
});

async function refusedToRestore(from: SimulatedDisk, what: string): Promise<void> {
  const disk = new SimulatedDisk();
  await assert.rejects(restore(from, disk), { code: 'backup-damaged' }, what);
  assert.ok(!disk.files().includes('checkpoint'), what);
  assert.deepEqual([...from.openHandles, ...disk.openHandles], []);
}
