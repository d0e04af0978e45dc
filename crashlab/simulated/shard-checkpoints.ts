/** Checkpoints and commit marks that are stale, from the future, of another shard, or garbage, on disk and in Redis. */
import assert from 'node:assert/strict';
import { messageOf, PermafrostError } from '../../src/base/errors.ts';
import { readCheckpointFile } from '../../src/shard/checkpoint-file.ts';
import type { PublishedCheckpoint } from '../../src/shard/start-up.ts';
import { slotSpacing } from '../../src/shard/two-slot-file.ts';
import type { ShardModel } from '../../test/shard/crash-model.ts';
import { Promises } from '../../test/shard/promises.ts';
import { openShard, settled } from '../../test/shard/shard-harness.ts';
import { isStopped } from '../../test/simulation/crash-points.ts';
import { mixSeed, Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import { type Experiment, type Round, Violation, type Work } from '../experiment.ts';
import { closedShard, crashedShard, type Sample } from './shard-sample.ts';

const slotFiles = ['checkpoint', 'commit-mark'] as const;
const tamperedCount = 300;

/** Changes the slot files of a disk; says how. */
type Tamper = (disk: SimulatedDisk, random: Random) => string;

/** What the slot files held at other times, and in another shard. */
class Others {
  readonly #foreign: Sample;
  readonly #earlier: readonly SimulatedDisk[];

  constructor(foreign: Sample, earlier: readonly SimulatedDisk[]) {
    this.#foreign = foreign;
    this.#earlier = earlier;
  }

  readonly tampers: readonly Tamper[] = [
    (disk, random) => change(disk, random, 'a bit flipped', (bytes, at) => flip(bytes, at, 1 << random.below(8))),
    (disk, random) =>
      change(disk, random, 'random bytes', (bytes, at) => void random.bytes(random.between(1, 60)).copy(bytes, at)),
    (disk, random) => change(disk, random, 'zeros', (bytes, at) => void bytes.fill(0, at, at + random.between(1, 60))),
    (disk, random) => change(disk, random, 'slots exchanged', (bytes) => exchange(bytes)),
    (disk, random) =>
      change(disk, random, 'one slot twice', (bytes) => void bytes.copy(bytes, slotSpacing, 0, slotSpacing)),
    (disk, random) => this.#from(disk, random, this.#foreign.disk, 'of another shard'),
    (disk, random) => this.#from(disk, random, random.pick(this.#earlier), 'of another time'),
  ];

  #from(disk: SimulatedDisk, random: Random, other: SimulatedDisk, what: string): string {
    const path = random.pick(slotFiles);
    const slot = random.pick([0, slotSpacing]);
    const isWhole = random.chance(0.5);
    const found = other.bytesOf(path);
    disk.mutate(path, (bytes) => {
      found.copy(bytes, isWhole ? 0 : slot, isWhole ? 0 : slot, isWhole ? found.length : slot + slotSpacing);
      return bytes;
    });
    return `${path}: ${isWhole ? 'the file' : `the slot at ${slot}`} is ${what}`;
  }
}

/** Changes one of the two files, at a place that matters. */
function change(disk: SimulatedDisk, random: Random, what: string, edit: (bytes: Buffer, at: number) => void): string {
  const path = random.pick(slotFiles);
  const at = random.pick([0, slotSpacing]) + random.below(130);
  disk.mutate(path, (bytes) => {
    edit(bytes, at);
    return bytes;
  });
  return `${path}: ${what} at ${at}`;
}

function flip(bytes: Buffer, at: number, bits: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ bits;
}

function exchange(bytes: Buffer): void {
  const first = Buffer.from(bytes.subarray(0, slotSpacing));
  bytes.copy(bytes, 0, slotSpacing);
  first.copy(bytes, slotSpacing);
}

/** Opens: refused with a code and unchanged, or everything that was promised is there. */
async function judge(model: ShardModel, sample: Sample, disk: SimulatedDisk): Promise<'refused' | 'whole'> {
  const before = disk.snapshot();
  let opened: Awaited<ReturnType<ShardModel['open']>>;
  try {
    opened = await model.open(disk);
  } catch (error) {
    assert.ok(error instanceof PermafrostError, `refused without a code: ${messageOf(error)}`);
    assert.deepEqual([...disk.snapshot().keys()], [...before.keys()]);
    assert.deepEqual(disk.openHandles, []);
    return 'refused';
  }
  model.operations += await new Promises(sample.events).judgeShard(opened.shard);
  await settled(opened.shard.close(), opened.clock);
  return 'whole';
}

/** What Redis may know of the shard, and what comes of it. */
async function judgePublished(sample: Sample, trustVolume: boolean): Promise<number> {
  const saved = (await readCheckpointFile(sample.disk))?.value ?? assert.fail('no checkpoint');
  const { instance } = saved;
  const { epoch } = saved.checkpoint;
  const other = '22222222-2222-4222-8222-222222222222';
  const rows: readonly (readonly [PublishedCheckpoint, string | undefined])[] = [
    [{ instance, epoch: 1 }, undefined],
    [{ instance, epoch: epoch - 1 }, undefined],
    [{ instance, epoch }, undefined],
    [{ instance, epoch: epoch + 1 }, 'volume-rolled-back'],
    [{ instance, epoch: 2 ** 52 }, 'volume-rolled-back'],
    [{ instance: other, epoch: 1 }, 'volume-foreign'],
    [{ instance: other, epoch: epoch + 7 }, 'volume-foreign'],
  ];
  for (const [published, code] of rows) {
    const disk = sample.disk.clone();
    await judgeStart(disk, sample, trustVolume, published, code);
    await judgeStart(new SimulatedDisk(), sample, trustVolume, published, 'volume-empty');
  }
  return 2 * rows.length;
}

async function judgeStart(
  disk: SimulatedDisk,
  { model, events }: Sample,
  trustVolume: boolean,
  published: PublishedCheckpoint,
  code: string | undefined,
): Promise<void> {
  const before = disk.snapshot();
  const opening = openShard(disk, { ...model.settings, trustVolume }, { published });
  if (code !== undefined) {
    await assert.rejects(opening, { code });
    assert.deepEqual(disk.snapshot(), before);
    return;
  }
  const { shard, clock } = await opening;
  model.operations += await new Promises(events).judgeShard(shard);
  await settled(shard.close(), clock);
}

/** With `trustVolume` the shard does not look at what Redis says: broken on purpose. */
export async function checkpointRound(round: Round, trustVolume = false): Promise<Work> {
  const { seed } = round;
  const sample = await (seed % 2 === 0 ? closedShard(seed) : crashedShard(seed));
  const earlier = await Promise.all([1, 2, 3].map((turns) => closedShard(seed, { turns })));
  const foreign = await closedShard(mixSeed(seed, 1), { settings: sample.model.settings });
  const others = new Others(
    foreign,
    earlier.map(({ disk }) => disk),
  );
  let cases = await judgePublished(sample, trustVolume);
  const only = round.path === undefined ? undefined : Number(round.path);
  for (let number = only ?? 0; number < tamperedCount && !(await isStopped(round.signal)); number++) {
    const random = new Random(mixSeed(seed, number));
    const disk = sample.disk.clone();
    const what = Array.from({ length: random.between(1, 2) }, () => random.pick(others.tampers)(disk, random)).join(
      '; ',
    );
    try {
      await judge(sample.model, sample, disk);
    } catch (error) {
      throw new Violation(`seed ${seed}: ${what}: ${messageOf(error)}`, { path: `${number}`, cause: error });
    }
    cases++;
    if (only !== undefined) break;
  }
  return { cases, crashPoints: 0, diskStates: cases, operations: sample.model.operations };
}

export const checkpointExperiment: Experiment = {
  name: 'shard-checkpoints',
  family: 'simulated',
  rows: [16],
  promise:
    'a checkpoint or commit mark that is stale, of another shard, exchanged or garbage, on disk or in Redis, is refused with a named error, or the other slot is used and every promised record is there',
  leastWork: { cases: 300, diskStates: 300, operations: 3000 },
  run: (round) => checkpointRound(round),
};
