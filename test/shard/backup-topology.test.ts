import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackupReport, backupShard } from '../../src/shard/backup.ts';
import { type BackedUpTopology, backupFile, readBackupManifest } from '../../src/shard/backup-manifest.ts';
import { type RestoreReport, restoreShard } from '../../src/shard/restore.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { FakeLock, openShard, put, settled } from './shard-harness.ts';

const one = { shards: 1, time: 0 };
const four = { shards: 4, time: 1_800_000_000_000 };

async function smallShard(): Promise<SimulatedDisk> {
  const { shard, clock, disk } = await openShard();
  await settled(shard.put(put('p', { key: 'value' })), clock);
  await settled(shard.close(), clock);
  return disk;
}

function backup(shard: SimulatedDisk, target: SimulatedDisk, topology?: BackedUpTopology): Promise<BackupReport> {
  return backupShard(shard, { disk: target, lock: new FakeLock() }, { clock: new ManualClock(), topology });
}

function restore(from: SimulatedDisk): Promise<RestoreReport> {
  return restoreShard(from, { disk: new SimulatedDisk(), lock: new FakeLock(), clock: new ManualClock() });
}

test('a backup knows the longest topology that a run into it was told, and gives it to who restores', async () => {
  const shard = await smallShard();
  const target = new SimulatedDisk();
  for (const { told, known } of [
    { told: undefined, known: undefined },
    { told: [one], known: [one] },
    { told: [one, four], known: [one, four] },
    { told: undefined, known: [one, four] },
    { told: [one], known: [one, four] },
  ]) {
    assert.deepEqual((await backup(shard, target, told)).topology, known);
    assert.deepEqual((await readBackupManifest(target, backupFile))?.topology, known);
    assert.deepEqual((await restore(target)).topology, known);
  }
});

test('a topology in a backup that is not what was written is damage', async () => {
  const target = new SimulatedDisk();
  await backup(await smallShard(), target, [one, four]);
  target.mutate(backupFile, (bytes) => Buffer.from(bytes.toString().replace('"shards": 4', '"shards": 5')));
  await assert.rejects(restore(target), { code: 'backup-damaged' });
});
