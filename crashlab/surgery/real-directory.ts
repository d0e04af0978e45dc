/** The same operations on a real directory, with a real lock: real files must fare as the simulated ones do. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { directoryLock, type OwnerLock } from '../../src/shard/owner-lock.ts';
import { type SalvageReport, salvageShard } from '../../src/shard/salvage.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { FakeLock } from '../../test/shard/shard-harness.ts';
import { Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Round, Work } from '../experiment.ts';
import { noWork } from '../work.ts';
import { changesAnything, type Damage, flippedBits, lengths, lostPages } from './damages.ts';
import { damagedDisk, violation } from './operation.ts';
import { closedShard, crashedShard, sampleSettings } from './sample.ts';

const caseCount = 12;

interface Place {
  readonly disk: Disk;
  readonly lock: OwnerLock;
}

/** Some damages of a closed shard and of a crashed one. */
export async function operateOnDirectory(round: Round): Promise<Work> {
  const random = new Random(round.seed);
  const sample = await (random.chance(0.5) ? closedShard(round.seed) : crashedShard(round.seed));
  const files = sample.disk.snapshot();
  const all = [flippedBits, lengths, lostPages].flatMap((damages) => [...damages(sample, random)]);
  const damages = random.shuffled(all.filter((damage) => changesAnything(damage, files))).slice(0, caseCount);
  for (const [index, damage] of damages.entries())
    await operateOnce(damage, damagedDisk(sample, damage), join(round.directory, String(index)));
  return { ...noWork, cases: damages.length, operations: 2 * damages.length };
}

async function operateOnce(damage: Damage, simulated: SimulatedDisk, directory: string): Promise<void> {
  const [from, to] = [join(directory, 'from'), join(directory, 'to')];
  const files = simulated.snapshot();
  for (const folder of ['key', 'value', 'table']) await mkdir(join(from, folder), { recursive: true });
  await mkdir(to);
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(from, path)), { recursive: true });
    await writeFile(join(from, path), bytes);
  }
  const real = await salvaged({ disk: new NodeDisk(from), lock: directoryLock(from) }, to);
  const expected = await salvaged({ disk: simulated, lock: new FakeLock() }, undefined);
  if (real !== expected) throw violation(damage, `salvage of real files: ${real}; of simulated ones: ${expected}`);
  for (const [path, bytes] of files)
    if (!bytes.equals(await readFile(join(from, path)))) throw violation(damage, `salvage changed the real ${path}`);
  const found = await problemsOf({ disk: new NodeDisk(from), lock: directoryLock(from) });
  const told = await problemsOf({ disk: simulated, lock: new FakeLock() });
  if (found !== told) throw violation(damage, `verify of real files: ${found}; of simulated ones: ${told}`);
  const copy = await problemsOf({ disk: new NodeDisk(to), lock: directoryLock(to) });
  if (copy !== '') throw violation(damage, `the salvaged copy is damaged: ${copy}`);
  await rm(directory, { recursive: true });
}

async function salvaged(source: Place, to: string | undefined): Promise<string> {
  const target =
    to === undefined
      ? { disk: new SimulatedDisk(), lock: new FakeLock() }
      : { disk: new NodeDisk(to), lock: directoryLock(to) };
  const losses: string[] = [];
  const deps = { ...target, clock: systemClock, logger: silentLogger };
  const report: SalvageReport = await salvageShard(source, deps, sampleSettings, ({ file, offset, reason }) =>
    losses.push(`${file} at ${offset}: ${reason}`),
  );
  return [`${report.recordCount} records`, ...losses].join('; ');
}

async function problemsOf(place: Place): Promise<string> {
  const report = await verifyShard({ ...place, clock: systemClock, logger: silentLogger }, sampleSettings);
  return report.problems.join('; ');
}
