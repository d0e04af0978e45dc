/**
 * Power losses below the directory that a backup or a restore writes to. The shard that is backed up is judged elsewhere:
 * it is only read (see the process family, where its worker runs meanwhile).
 */
import assert from 'node:assert/strict';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { salvage } from '../../src/freezer/salvage.ts';
import { backupShard } from '../../src/shard/backup.ts';
import { endOf, readCheckpointFile } from '../../src/shard/checkpoint-file.ts';
import { freezerSettingsOf, partitionNames } from '../../src/shard/engine-settings.ts';
import { restoreShard } from '../../src/shard/restore.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { readVolume } from '../../src/shard/volume.ts';
import { drawnSettings, ShardModel } from '../../test/shard/crash-model.ts';
import { FakeLock } from '../../test/shard/shard-harness.ts';
import { exploreCrashPoints } from '../../test/simulation/crash-points.ts';
import { ManualClock } from '../../test/simulation/manual-clock.ts';
import { mixSeed, Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Experiment, Round, Work } from '../experiment.ts';
import { crashWork } from './explored-work.ts';
import type { Disturb } from './shard-crashes.ts';

/** The disk of a backup or of a restored shard as it should be. */
const undisturbed: Disturb = (disk) => disk;

/** A shard as it was at some moments of its life, the oldest first, with the records that its checkpoint had then. */
interface Life {
  readonly settings: ShardSettings;
  readonly moments: readonly Moment[];
}

interface Moment {
  readonly disk: SimulatedDisk;
  readonly records: readonly string[];
}

const momentCount = 3;

async function lifeOf(seed: number): Promise<Life> {
  const random = new Random(mixSeed(seed, 21));
  const drawn = drawnSettings(new Random(seed));
  const model = new ShardModel({ seed, turns: 10, settings: drawn, closes: random.chance(0.5) });
  const { settings } = model;
  const disk = new SimulatedDisk();
  const copies: SimulatedDisk[] = [];
  disk.watchSteps((step) => {
    if (step % 3 === 0) copies.push(disk.clone());
  });
  await model.workload(disk, []);
  const whole: SimulatedDisk[] = [];
  for (const copy of copies) if ((await readVolume(copy)).kind === 'whole') whole.push(copy);
  const moments: Moment[] = [];
  for (let index = 1; index < momentCount; index++) {
    const at = Math.floor((whole.length * (index - random.below(100) / 100)) / (momentCount - 1));
    const copy = whole[Math.min(at, whole.length - 1)];
    if (copy !== undefined) moments.push({ disk: copy, records: await recordsOf(copy, settings) });
  }
  return { settings, moments: [...moments, { disk, records: await recordsOf(disk, settings) }] };
}

/** Each record up to the checkpoint, in the order of the archive, with its place. */
async function recordsOf(disk: SimulatedDisk, settings: ShardSettings): Promise<readonly string[]> {
  const reading = await readCheckpointFile(disk);
  assert.ok(reading !== undefined);
  const { section: last, valueBytes } = endOf(reading.value);
  const records: string[] = [];
  for await (const found of salvage(disk, freezerSettingsOf(settings.engine))) {
    if (found.kind === 'lost') continue;
    const { value, cursor } = found.record;
    const { section, offset, size } = cursor;
    if (section > last || (section === last && offset + size > valueBytes)) continue;
    const { putId, recordIndex, key, payload } = value;
    records.push(`${section}/${offset} ${putId}/${recordIndex} ${key}=${Buffer.from(payload).toString()}`);
  }
  return records;
}

class BackupJudge {
  readonly life: Life;
  readonly #disturb: Disturb;
  operations = 0;

  /** What is written to goes through `disturb`. */
  constructor(life: Life, disturb: Disturb) {
    this.life = life;
    this.#disturb = disturb;
  }

  /** Backs up one moment; the shard is as it was afterwards, but for the time of the backup. */
  async backup(moment: Moment, target: SimulatedDisk): Promise<void> {
    const shard = moment.disk.clone();
    const before = shard.snapshot();
    const disk = this.#disturb(target);
    await backupShard(shard, { disk, lock: new FakeLock() }, { clock: new ManualClock() });
    const after = shard.snapshot();
    after.delete('last-backup');
    before.delete('last-backup');
    assert.deepEqual(after, before, 'a backup changed the shard');
    assert.deepEqual([...shard.openHandles, ...target.openHandles], []);
  }

  /** Restores the backup into a directory that may go down. */
  restoreInto(target: SimulatedDisk, backup: SimulatedDisk): Promise<unknown> {
    return restore(backup, this.#disturb(target));
  }

  /** Restores what there is: `undefined` for no complete backup, else which moment it is of. */
  async restored(target: SimulatedDisk): Promise<number | undefined> {
    const disk = new SimulatedDisk();
    try {
      await restore(target, disk);
    } catch (error) {
      assert.equal(codeOf(error), 'backup-incomplete', messageOf(error));
      return undefined;
    }
    return this.judgeShard(disk);
  }

  /** The moment that a restored shard is of: it is sound and has exactly its records. */
  async judgeShard(disk: SimulatedDisk): Promise<number> {
    const records = await recordsOf(disk, this.life.settings);
    const deps = { disk, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
    const { problems, recordCount } = await verifyShard(deps, this.life.settings);
    assert.deepEqual(problems, []);
    assert.equal(recordCount, records.length);
    this.operations += recordCount;
    const found = this.life.moments.findLastIndex((moment) => moment.records.length === records.length);
    assert.deepEqual(records, this.life.moments[found]?.records, 'what is restored is no state of the shard');
    return found;
  }
}

function restore(backup: SimulatedDisk, disk: Disk): Promise<unknown> {
  return restoreShard(backup, { disk, lock: new FakeLock(), clock: new ManualClock() });
}

/** Backups of a shard at some moments of its life, one after the other into the same directory. */
export async function backupRound(round: Round, disturb: Disturb = undisturbed): Promise<Work> {
  const life = await lifeOf(round.seed);
  const judge = new BackupJudge(life, disturb);
  const last = life.moments.length - 1;
  const backUp = async (index: number, target: SimulatedDisk, events: number[]): Promise<void> => {
    const moment = life.moments[index];
    assert.ok(moment !== undefined);
    await judge.backup(moment, target);
    events.push(index);
  };
  const exploration = exploreCrashPoints<number>({
    workload: async (target, events) => {
      for (const index of life.moments.keys()) await backUp(index, target, events);
    },
    verify: async (target, events) => {
      const complete = events.at(-1);
      const found = await judge.restored(target.clone());
      const least = complete === undefined ? undefined : life.moments[complete]?.records.length;
      const has = found === undefined ? undefined : life.moments[found]?.records.length;
      assert.ok(
        least === undefined || (has !== undefined && has >= least),
        `restored ${has} records, ${least} were backed up`,
      );
      await backUp(last, target, events);
      assert.equal(await judge.restored(target.clone()), last);
    },
    randomSurvivals: 1,
    depth: 3,
    nestedPointsMax: 1,
    pointFilter: (step) => (step + round.seed) % 40 === 0,
    ...round,
  });
  return crashWork(exploration, judge);
}

/** A restore that goes down, and is begun again in a directory that was cleared. */
export async function restoreRound(round: Round, disturb: Disturb = undisturbed): Promise<Work> {
  const life = await lifeOf(round.seed);
  const judge = new BackupJudge(life, disturb);
  const last = life.moments.length - 1;
  const backup = new SimulatedDisk();
  for (const moment of life.moments) await judge.backup(moment, backup);
  const before = backup.snapshot();
  const exploration = exploreCrashPoints<string>({
    workload: async (target, events) => {
      await judge.restoreInto(target, backup);
      events.push('restored');
    },
    verify: async (target, events) => {
      assert.deepEqual(backup.snapshot(), before, 'a restore changed the backup');
      if (await isShard(target)) {
        assert.equal(await judge.judgeShard(target.clone()), last);
        return;
      }
      assert.equal(events.length, 0, 'what was restored is no shard');
      await clear(target);
      await judge.restoreInto(target, backup);
      events.push('restored');
      assert.equal(await judge.judgeShard(target.clone()), last);
    },
    randomSurvivals: 1,
    depth: 3,
    nestedPointsMax: 1,
    pointFilter: (step) => (step + round.seed) % 48 === 0,
    ...round,
  });
  return crashWork(exploration, judge);
}

/** Whether a worker would take the directory for a shard; it must refuse the others, but for an empty one. */
async function isShard(disk: SimulatedDisk): Promise<boolean> {
  const { kind } = await readVolume(disk);
  assert.ok(['empty', 'orphaned', 'whole'].includes(kind), kind);
  return kind === 'whole';
}

async function clear(target: SimulatedDisk): Promise<void> {
  for (const path of target.files()) target.mutate(path, () => undefined);
  for (const name of partitionNames) if ((await target.list(name)) !== undefined) await target.removeDirectory(name);
}

export const backupExperiments: readonly Experiment[] = [
  {
    name: 'shard-backup',
    family: 'simulated',
    rows: [21],
    promise:
      'three backups of a shard into one directory, with power losses at any step: what was complete can be restored, never less than the last one that ended, exactly the records of a checkpoint and sound; the next backup goes on, however often it goes down',
    leastWork: { crashPoints: 21, diskStates: 84, operations: 500 },
    run: (round) => backupRound(round),
  },
  {
    name: 'shard-restore',
    family: 'simulated',
    rows: [21],
    promise:
      'a restore that goes down leaves a whole shard or one that a worker refuses, never a part that is taken for one, and the backup as it was',
    leastWork: { crashPoints: 21, diskStates: 84, operations: 500 },
    run: (round) => restoreRound(round),
  },
];
