/**
 * `salvage` of damaged and of crashed shards, and crashes in its middle.
 *
 * The judge knows where every record lies and which bytes were flipped, so it knows which records must come through:
 * those of which no byte, and no byte of whose page, was touched.
 */
import assert from 'node:assert/strict';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { headerSize } from '../../src/blob/header.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import { recordSize } from '../../src/freezer/key-record.ts';
import type { StoredRecord } from '../../src/freezer/records.ts';
import { type Loss, salvage } from '../../src/freezer/salvage.ts';
import { archiveKeySize, freezerSettingsOf, partitionNames } from '../../src/shard/engine-settings.ts';
import type { Envelope } from '../../src/shard/envelope.ts';
import { salvageShard } from '../../src/shard/salvage.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { Promises } from '../../test/shard/promises.ts';
import { FakeLock, openShard, settled } from '../../test/shard/shard-harness.ts';
import { exploreCrashPoints } from '../../test/simulation/crash-points.ts';
import { ManualClock } from '../../test/simulation/manual-clock.ts';
import { mixSeed, Random } from '../../test/simulation/random.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Experiment, Round, Work } from '../experiment.ts';
import { crashWork } from './explored-work.ts';
import { closedShard, crashedShard, type Sample } from './shard-sample.ts';

/** What a salvage does, for shards of the lab and for such as are broken on purpose. */
export type Salvager = (
  source: SimulatedDisk,
  target: SimulatedDisk,
  settings: ShardSettings,
  onLoss: (loss: Loss) => void,
) => Promise<unknown>;

const salvageWhole: Salvager = (source, target, settings, onLoss) =>
  salvageShard(
    { disk: source, lock: new FakeLock() },
    { disk: target, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger },
    settings,
    onLoss,
  );

interface Damage {
  readonly path: string;
  readonly offset: number;
}

type Known = StoredRecord<Envelope>;

class SalvageJudge {
  readonly #sample: Sample;
  readonly #source: SimulatedDisk;
  readonly #before: Map<string, Buffer>;
  readonly #known: readonly Known[];
  readonly #damages: readonly Damage[];
  operations = 0;

  private constructor(sample: Sample, source: SimulatedDisk, known: readonly Known[], damages: readonly Damage[]) {
    this.#sample = sample;
    this.#source = source;
    this.#before = source.snapshot();
    this.#known = known;
    this.#damages = damages;
  }

  /** Damages the sample by the seed. */
  static async for(sample: Sample, random: Random): Promise<SalvageJudge> {
    const { settings } = sample.model;
    const known: Known[] = [];
    for await (const found of salvage(sample.disk, freezerSettingsOf(settings.engine))) {
      if (found.kind === 'record') known.push(found.record);
    }
    const source = sample.disk.clone();
    const damages = random.chance(0.3) ? [] : drawnDamages(source, random);
    for (const path of ['checkpoint', 'commit-mark', 'sections', 'identity.json', 'table/table']) {
      if (source.files().includes(path) && random.chance(0.3)) source.mutate(path, () => undefined);
    }
    return new SalvageJudge(sample, source, known, damages);
  }

  get source(): SimulatedDisk {
    return this.#source;
  }

  /** Nothing of the old shard was changed, nor kept open. */
  judgeSource(): void {
    assert.equal(this.#source.steps, 0, 'salvage wrote to the old shard');
    assert.deepEqual(this.#source.snapshot(), this.#before);
    assert.deepEqual(this.#source.openHandles, []);
  }

  /** The copy has all that is untouched, in its order, and nothing else; what it has not is named as a loss. */
  async judgeCopy(target: SimulatedDisk, losses: readonly Loss[]): Promise<void> {
    const { settings } = this.#sample.model;
    const deps = { disk: target, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
    assert.deepEqual((await verifyShard(deps, settings)).problems, []);
    const { shard, clock } = await openShard(target, settings);
    const copied: Known[] = [];
    for await (const record of shard.freezer.records()) copied.push(record);
    await settled(shard.close(), clock);
    this.operations += copied.length;
    const names = new Set(copied.map(({ value }) => nameOf(value)));
    const missing = this.#known.filter(({ value }) => !names.has(nameOf(value)));
    assert.deepEqual(
      copied.map(({ value }) => textOf(value)),
      this.#known.filter(({ value }) => names.has(nameOf(value))).map(({ value }) => textOf(value)),
      'the copy is what was there, in its order',
    );
    for (const record of missing) {
      assert.ok(this.#isTouched(record), `${nameOf(record.value)} is whole and was not copied`);
      const section = hex(record.position.section);
      assert.ok(
        losses.some(({ file }) => file.endsWith(section)),
        `no loss in section ${section} was named`,
      );
    }
    if (this.#damages.length === 0) this.#judgePromises(copied);
  }

  /** Without damage a crashed shard gives up all that it promised. */
  #judgePromises(copied: readonly Known[]): void {
    const promises = new Promises(this.#sample.events);
    for (const { value } of copied) promises.judgeWritten(nameOf(value), value.key, value.payload);
    const names = new Set(copied.map(({ value }) => nameOf(value)));
    for (const event of this.#sample.events) {
      if (event.kind !== 'resolved') continue;
      for (const [index, { outcome }] of event.result.records.entries()) {
        if (outcome === 'stored') assert.ok(names.has(`${event.request.putId}/${index}`), 'a stored record is missing');
      }
    }
  }

  #isTouched({ cursor, position }: Known): boolean {
    const { pageSize } = this.#sample.model.settings.engine;
    const size = recordSize(archiveKeySize);
    const firstPage = Math.floor((position.position * size) / pageSize);
    const lastPage = Math.floor(((position.position + 1) * size - 1) / pageSize);
    const section = hex(position.section);
    return this.#damages.some(({ path, offset }) => {
      if (offset < headerSize) return path.endsWith(section);
      if (path === `key/${section}`) {
        const page = Math.floor((offset - headerSize) / physicalPageSize(pageSize));
        return page >= firstPage && page <= lastPage;
      }
      const at = offset - headerSize - cursor.offset;
      return path === `value/${section}` && at >= 0 && at < cursor.size;
    });
  }
}

function drawnDamages(disk: SimulatedDisk, random: Random): Damage[] {
  const paths = disk.files().filter((path) => /^(key|value)\//.test(path) && disk.bytesOf(path).length > 0);
  return Array.from({ length: random.between(1, 4) }, () => {
    const path = random.pick(paths);
    const offset = random.below(disk.bytesOf(path).length);
    disk.mutate(path, (bytes) => {
      bytes[offset] = (bytes[offset] ?? 0) ^ (1 << random.below(8));
      return bytes;
    });
    return { path, offset };
  });
}

function nameOf({ putId, recordIndex }: Envelope): string {
  return `${putId}/${recordIndex}`;
}

function textOf(value: Envelope): string {
  return `${nameOf(value)} ${value.key}=${Buffer.from(value.payload).toString()} ${value.archivedAtMs}`;
}

function hex(section: number): string {
  return section.toString(16).padStart(16, '0');
}

export async function salvageRound(round: Round, run: Salvager = salvageWhole): Promise<Work> {
  const random = new Random(mixSeed(round.seed, 1));
  const sample = await (random.chance(0.3) ? closedShard(round.seed) : crashedShard(round.seed));
  const { settings } = sample.model;
  const judge = await SalvageJudge.for(sample, random);
  const losses: Loss[] = [];
  const copyTo = (target: SimulatedDisk, told: Loss[]): Promise<unknown> =>
    run(judge.source, target, settings, (loss) => told.push(loss));
  const exploration = exploreCrashPoints<never>({
    workload: async (target) => {
      await copyTo(target, losses);
      judge.judgeSource();
      await judge.judgeCopy(target.clone(), losses);
    },
    verify: async (target) => {
      judge.judgeSource();
      if (await isShard(target, settings)) {
        await judge.judgeCopy(target, losses);
        return;
      }
      await clear(target);
      const lossesAgain: Loss[] = [];
      await copyTo(target, lossesAgain);
      await judge.judgeCopy(target, lossesAgain);
    },
    randomSurvivals: 0,
    depth: 3,
    nestedPointsMax: 1,
    pointFilter: (step) => (step + round.seed) % 24 === 0,
    ...round,
  });
  return crashWork(exploration, judge);
}

/** What is no shard is thrown away by whoever sees that, and then the copy is made again at the same place. */
async function clear(target: SimulatedDisk): Promise<void> {
  for (const path of target.files()) target.mutate(path, () => undefined);
  for (const name of partitionNames) if ((await target.list(name)) !== undefined) await target.removeDirectory(name);
}

/** Whether what a salvage left can be taken for a shard: then it must be the whole copy. */
async function isShard(target: SimulatedDisk, settings: ShardSettings): Promise<boolean> {
  const files = target.files();
  if (files.length === 0) return false;
  try {
    const { shard, clock } = await openShard(target.clone(), settings);
    await settled(shard.close(), clock);
    return true;
  } catch (error) {
    assert.equal(codeOf(error), 'checkpoint-missing', messageOf(error));
    return false;
  }
}

export const salvageExperiment: Experiment = {
  name: 'shard-salvage',
  family: 'simulated',
  rows: [5, 14],
  promise:
    'salvage of a damaged or crashed shard copies all that is readable in its order, names what is lost, invents nothing and leaves the old shard untouched; when it goes down in the middle, what it left is refused as a shard and it can be run again, however often it goes down',
  leastWork: { crashPoints: 13, diskStates: 39 },
  run: (round) => salvageRound(round),
};
