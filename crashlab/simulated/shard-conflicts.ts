/**
 * Duplicate and late deliveries, and puts of the same keys side by side, against a model that decides them one by one;
 * with failing fsyncs and crashes in between, after which all that was not acknowledged is delivered again.
 */
import assert from 'node:assert/strict';
import { codeOf } from '../../src/base/errors.ts';
import type { IfExists, PutRequest } from '../../src/shard/put-request.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import { ConflictModel, type Expected } from '../../test/shard/conflict-model.ts';
import { questionOf } from '../../test/shard/promises.ts';
import {
  type OpenedShard,
  openShard,
  put,
  settled,
  textIn,
  tinyEngine,
  turns,
} from '../../test/shard/shard-harness.ts';
import { isStopped } from '../../test/simulation/crash-points.ts';
import { Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Experiment, Round, Work } from '../experiment.ts';

const settings: Partial<ShardSettings> = {
  engine: {
    ...tinyEngine,
    pageCachePages: 64,
    keyWriteBuffer: 4096,
    valueWriteBuffer: 16_384,
    valueTargetSize: 100_000,
    tableInitialSize: 64,
    tableChangesMax: 2048,
  },
  commitDelayMs: 0,
  reopenDelayMs: 1,
};
const choices: readonly IfExists[] = ['append', 'skip-same', 'keep', 'reject'];
const keys = Array.from({ length: 1000 }, (_, index) => `key ${index}`);
const texts = ['one', 'two', 'three'];
const sessionCount = 4;
const burstCount = 80;

/** Stands between the deliveries and the shard: breaks the rules to show that the judge notices. */
export type Alter = (request: PutRequest) => PutRequest;

/** How wrong the clocks are: the worker's jumps before each burst, the producers' are off by less. */
interface Clocks {
  readonly workerSkewMaxMs: number;
  readonly producerSkewMaxMs: number;
}

const hourMs = 3_600_000;
/** Together below the 25 hours that a redelivery allows for. */
const wrongClocks: Clocks = { workerSkewMaxMs: 24 * hourMs, producerSkewMaxMs: hourMs / 2 };

interface Delivery {
  readonly request: PutRequest;
  readonly expected: readonly Expected[] | undefined;
}

class Deliveries {
  readonly #random: Random;
  readonly #alter: Alter;
  readonly #clocks: Clocks | undefined;
  readonly #sent: PutRequest[] = [];
  /** What a right clock shows. */
  #trueMs = Date.UTC(2026, 0, 1);
  #model = new ConflictModel();
  #number = 0;
  /** Deliveries, and with them the lookups. */
  cases = 0;
  operations = 0;

  constructor(random: Random, alter: Alter, clocks: Clocks | undefined) {
    this.#random = random;
    this.#alter = alter;
    this.#clocks = clocks;
  }

  /** Some deliveries side by side; old ones among them come again; now and then an fsync fails meanwhile. */
  async burst(opened: OpenedShard): Promise<void> {
    const { shard, clock, disk } = opened;
    this.#jump(opened);
    const failing = this.#random.chance(0.02) ? disk.failAt(({ kind }) => kind === 'sync', 'eio') : undefined;
    const deliveries = this.#drawn();
    const outcomes = deliveries.map(({ request }) => shard.put(this.#alter(request)));
    const results = await settled(Promise.allSettled(outcomes), clock);
    const fsyncFailed = (failing?.hits ?? 0) > 0;
    failing?.disarm();
    for (const [index, { request, expected }] of deliveries.entries()) {
      const result = results[index];
      this.cases++;
      this.operations++;
      if (fsyncFailed) assert.ok(result?.status === 'fulfilled' || codeOf(result?.reason) === 'key-exists');
      else if (result?.status === 'fulfilled') {
        assert.ok(expected !== undefined, `${request.putId} is refused by the rules, and was stored`);
        this.#model.judge(expected, result.value);
      } else {
        const code = codeOf(result?.reason);
        assert.ok(expected === undefined && code === 'key-exists', `${request.putId} was refused: ${code}`);
      }
    }
    // Puts that were in flight are decided again, and then they see each other: only their order is not known.
    if (fsyncFailed)
      await this.compare(
        opened,
        deliveries.map(({ request }) => request),
      );
  }

  /** Deliveries whose outcome nobody learns, because the machine goes down. */
  async cutShort({ shard, disk }: OpenedShard): Promise<readonly PutRequest[]> {
    const deliveries = this.#drawn();
    for (const { request } of deliveries) shard.put(request).catch(() => {});
    disk.failAt(disk.steps + this.#random.between(1, 12), 'crash');
    for (let turn = 0; !disk.crashed && turn < 100; turn++) await turns(1);
    return deliveries.map(({ request }) => request);
  }

  /** The archive is what the model says, in its order; then deliveries that were cut short may have left any part. */
  async compare({ shard }: OpenedShard, lost: readonly PutRequest[] = []): Promise<void> {
    const found = new ConflictModel();
    for await (const { value } of shard.freezer.records()) {
      const text = Buffer.from(value.payload).toString();
      found.add({ ...value, text, cursor: undefined });
    }
    const isLost = new Set(lost.map(({ putId }) => putId));
    const whole = this.#model.versions.filter(({ putId }) => !isLost.has(putId)).map(nameOf);
    assert.deepEqual(found.versions.filter(({ putId }) => !isLost.has(putId)).map(nameOf), whole);
    const cursors = new Map(this.#model.versions.map((version) => [nameOf(version), version.cursor]));
    for (const version of found.versions) version.cursor = cursors.get(nameOf(version));
    this.#model = found;
    const answers = await shard.lookupMany(keys.map(questionOf));
    for (const [index, key] of keys.entries()) {
      const newest = found.newestOf(key);
      assert.equal(textIn(answers[index]), newest === undefined ? 'missing' : `=${newest.text}`, key);
    }
    this.operations += keys.length;
  }

  /** Delivers again what was cut short, as a queue does: what was stored of it is not stored again. */
  async deliverAgain(opened: OpenedShard, lost: readonly PutRequest[]): Promise<void> {
    const { shard, clock } = opened;
    this.#jump(opened);
    for (const request of lost) {
      const again = { ...request, redelivered: true };
      const expected = this.#model.decide(again);
      const outcome = await settled(shard.put(this.#alter(again)), clock).catch(codeOf);
      this.operations++;
      if (typeof outcome === 'string' || outcome === undefined) assert.equal(outcome, expected ?? 'key-exists');
      else {
        assert.ok(expected !== undefined, `${request.putId} is refused by the rules, and was stored`);
        this.#model.judge(expected, outcome);
      }
    }
  }

  /** Time goes on, the timers starve at times, and the worker's wall clock is anywhere around the right time. */
  #jump({ clock }: OpenedShard): void {
    if (this.#clocks === undefined) return;
    const random = this.#random;
    this.#trueMs += random.below(3 * hourMs);
    if (random.chance(0.2)) clock.advance(random.below(hourMs));
    clock.jumpWall(this.#trueMs + skewed(random, this.#clocks.workerSkewMaxMs) - clock.wallMs());
  }

  #drawn(): readonly Delivery[] {
    const random = this.#random;
    return Array.from({ length: random.between(5, 40) }, () => {
      const isRepeated = this.#sent.length > 0 && random.chance(0.2);
      const request = isRepeated ? { ...random.pick(this.#sent), redelivered: true } : this.#fresh();
      if (!isRepeated) this.#sent.push(request);
      return { request, expected: this.#model.decide(request) };
    });
  }

  #fresh(): PutRequest {
    const random = this.#random;
    const records = Array.from({ length: random.between(1, 3) }, (): readonly [string, string] => [
      random.pick(keys),
      random.pick(texts),
    ]);
    const options = { ifExists: random.pick(choices), redelivered: random.chance(0.1) };
    const request = put(`put ${this.#number++}`, records, options);
    if (this.#clocks === undefined) return request;
    return { ...request, createdAtMs: this.#trueMs + skewed(random, this.#clocks.producerSkewMaxMs) };
  }
}

function nameOf(version: { readonly putId: string; readonly recordIndex: number; readonly key: string }): string {
  return `${version.putId}/${version.recordIndex} ${version.key}`;
}

/** By so much too early or too late; often by all of it, as a wrong time zone or a dead battery makes it. */
function skewed(random: Random, maxMs: number): number {
  return random.chance(0.5) ? random.pick([-maxMs, maxMs]) : random.between(-maxMs, maxMs);
}

/** The same with wall clocks that jump. */
export function clockRound(round: Round, alter?: Alter): Promise<Work> {
  return conflictRound(round, alter, wrongClocks);
}

export async function conflictRound(round: Round, alter: Alter = (request) => request, clocks?: Clocks): Promise<Work> {
  const random = new Random(round.seed);
  const deliveries = new Deliveries(random, alter, clocks);
  let crashPoints = 0;
  let disk = new SimulatedDisk({ jitterSeed: round.seed });
  let lost: readonly PutRequest[] = [];
  for (let session = 0; session < sessionCount && !(await isStopped(round.signal)); session++) {
    const opened = await openShard(disk, settings);
    await deliveries.compare(opened, lost);
    await deliveries.deliverAgain(opened, lost);
    for (let burst = 0; burst < burstCount; burst++) await deliveries.burst(opened);
    await deliveries.compare(opened);
    lost = await deliveries.cutShort(opened);
    crashPoints++;
    disk = disk.crash(random.pick(['synced', 'all', { seed: random.u32() }] as const));
  }
  const { cases, operations } = deliveries;
  return { cases, crashPoints, diskStates: crashPoints, operations };
}

export const conflictExperiment: Experiment = {
  name: 'shard-conflicts',
  family: 'simulated',
  rows: [12, 24],
  promise:
    'puts that are delivered twice, late or side by side, for the same keys and with any ifExists, come to exactly what the rules say in the order of their arrival, through failing fsyncs and crashes as well',
  leastWork: { cases: 6000, operations: 10_000, crashPoints: 4 },
  run: (round) => conflictRound(round),
};

export const clockExperiment: Experiment = {
  name: 'shard-clocks',
  family: 'simulated',
  rows: [12, 17],
  promise:
    'while the wall clock of the worker jumps by up to a day either way before each burst of puts, timers fire late, and producers are half an hour off, commits and syncs go on, and no put that comes again is stored twice',
  leastWork: { cases: 6000, operations: 10_000, crashPoints: 4 },
  run: (round) => clockRound(round),
};
