/** Shards that are broken on purpose, as experiments: each must end in a violation. */
import type { Experiment, Round, Work } from '../../crashlab/experiment.ts';
import { backupRound, restoreRound } from '../../crashlab/simulated/shard-backup.ts';
import { checkpointRound } from '../../crashlab/simulated/shard-checkpoints.ts';
import { clockRound, conflictRound } from '../../crashlab/simulated/shard-conflicts.ts';
import { crashExperiments, type Disturb } from '../../crashlab/simulated/shard-crashes.ts';
import { fullDiskRound } from '../../crashlab/simulated/shard-full-disk.ts';
import { verifyRound } from '../../crashlab/simulated/shard-offline.ts';
import { salvageRound } from '../../crashlab/simulated/shard-salvage.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { salvageShard } from '../../src/shard/salvage.ts';
import { disturbed, withoutRewriting, withoutSync } from '../shard/disturbed-disk.ts';
import { FakeLock } from '../shard/shard-harness.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

interface Broken {
  readonly name: string;
  /** A round that shows it; 1 if not given. */
  readonly seed?: number;
  readonly run: (round: Round) => Promise<Work>;
}

const isFile =
  (name: string) =>
  (path: string): boolean =>
    path === name || path.startsWith(`${name}/`);

/** One of the crash experiments, on a shard that is disturbed. */
function crashing(experiment: string, name: string, disturb: Disturb, seed = 1): Broken {
  const found = crashExperiments(disturb).find((candidate) => candidate.name === experiment);
  if (found === undefined) throw new Error(`no experiment ${experiment}`);
  return { name: `${experiment}: ${name}`, seed, run: found.run };
}

/** Believes that what did not fit was written. */
const deafToFullDisks: Disturb = (disk) =>
  disturbed(disk, (file) => ({
    write: (offset, bytes) => file.write(offset, bytes).catch(() => {}),
    writeMany: (writes) => file.writeMany(writes).catch(() => {}),
  }));

/** Leaves out the sync of a directory. */
function withoutDirectorySync(directory: string): Disturb {
  return (disk) =>
    new Proxy(disk, {
      get(target, name) {
        if (name === 'syncDirectory')
          return async (path: string) => (path === directory ? undefined : target.syncDirectory(path));
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
}

/** Salvages into a copy that never looks unfinished. */
function salvageUnmarked(round: Round): Promise<Work> {
  return salvageRound(round, (source, target, settings, onLoss) =>
    salvageShard(
      { disk: source, lock: new FakeLock() },
      { disk: withoutMark(target), lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger },
      settings,
      onLoss,
    ),
  );
}

function withoutMark(disk: Disk): Disk {
  const isMark = (path: string): boolean => path === 'salvage-unfinished';
  return new Proxy(disk, {
    get(target, name) {
      if (name === 'open') {
        return async (path: string, options: { readonly create: boolean }) => {
          const file = await target.open(path, options);
          if (isMark(path)) await target.remove(path);
          return file;
        };
      }
      if (name === 'remove') return async (path: string) => (isMark(path) ? undefined : target.remove(path));
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** Salvages, and keeps the losses to itself. */
function salvageSilently(round: Round): Promise<Work> {
  return salvageRound(round, (source, target, settings) =>
    salvageShard(
      { disk: source, lock: new FakeLock() },
      { disk: target, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger },
      settings,
      () => {},
    ),
  );
}

export const brokenShards: readonly Broken[] = [
  crashing('shard-crash', 'no fsync of the checkpoint file', withoutSync(isFile('checkpoint'))),
  crashing(
    'shard-crash',
    'no fsync of the digests',
    withoutSync((path) => path.startsWith('table-digests')),
  ),
  crashing('shard-crash', 'no fsync of the section manifest', withoutSync(isFile('sections'))),
  crashing('shard-crash', 'no fsync of the key sections', withoutSync(isFile('key'))),
  crashing('shard-crash-while-resizing', 'no fsync of the table', withoutSync(isFile('table'))),
  crashing('shard-crash-in-recovery', 'no fsync of the value sections', withoutSync(isFile('value'))),
  crashing(
    'shard-failed-fsync-then-crash',
    'a checkpoint that was only readable is not written again',
    withoutRewriting(isFile('checkpoint')),
    4,
  ),
  crashing('shard-failed-fsync', 'no fsync of the key sections', withoutSync(isFile('key'))),
  {
    name: 'shard-verify: no fsync of the value sections',
    run: (round) => verifyRound(round, withoutSync(isFile('value'))),
  },
  { name: 'shard-salvage: a copy without its mark', run: salvageUnmarked },
  { name: 'shard-salvage: losses that are not told', seed: 5, run: salvageSilently },
  {
    name: 'shard-backup: no fsync of the copied values',
    run: (round) => backupRound(round, withoutSync(isFile('value'))),
  },
  {
    name: 'shard-backup: no fsync of the directory of the keys',
    run: (round) => backupRound(round, withoutDirectorySync('key')),
  },
  {
    name: 'shard-restore: no fsync of the key sections',
    run: (round) => restoreRound(round, withoutSync(isFile('key'))),
  },
  { name: 'shard-full-disk: writes that failed count as done', run: (round) => fullDiskRound(round, deafToFullDisks) },
  { name: 'shard-checkpoints: what Redis published does not count', run: (round) => checkpointRound(round, true) },
  {
    name: 'shard-clocks: producers are a day and a half ahead',
    run: (round) =>
      clockRound(round, (request) => ({ ...request, createdAtMs: (request.createdAtMs ?? 0) + 36 * 3_600_000 })),
  },
  {
    name: 'shard-conflicts: a second delivery looks like a first one',
    run: (round) => conflictRound(round, (request) => ({ ...request, redelivered: false })),
  },
  {
    name: 'shard-conflicts: keep is taken for append',
    run: (round) =>
      conflictRound(round, (request) => (request.ifExists === 'keep' ? { ...request, ifExists: 'append' } : request)),
  },
];

/** For the thread that runs them. */
export const catalogue: readonly Experiment[] = brokenShards.map(({ name, run }) => ({
  name,
  run,
  family: 'simulated',
  rows: [],
  promise: 'broken on purpose',
  leastWork: {},
}));
