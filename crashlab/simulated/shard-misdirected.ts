/**
 * Reads and writes that succeed at a wrong place: whole pages, slots, lines and records with matching checksums, where
 * others belong.
 *
 * A misdirected write destroys two places, and no checksum knows its place; what the format can tell is the key in a
 * record and in a value, the order of chains, and where values and sections end. So what is answered was put under its
 * key, always; that something is missing or old is not always noticed.
 */
import { PermafrostError } from '../../src/base/errors.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import { slotSpacing } from '../../src/shard/two-slot-file.ts';
import { drawnSettings, ShardModel, type ShardPlan } from '../../test/shard/crash-model.ts';
import { Promises, questionOf, type ShardEvent } from '../../test/shard/promises.ts';
import { settled } from '../../test/shard/shard-harness.ts';
import { exploreFaults } from '../../test/simulation/fault-points.ts';
import type { Fault } from '../../test/simulation/gate.ts';
import { Random } from '../../test/simulation/random.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Experiment, Round, Work } from '../experiment.ts';
import { faultWork } from './explored-work.ts';
import type { Disturb } from './shard-crashes.ts';

/** Looks everything up: the shard is refused with a code, or what it answers with was put under its key. */
async function judge(model: ShardModel, disk: SimulatedDisk, events: readonly ShardEvent[]): Promise<void> {
  let opened: Awaited<ReturnType<ShardModel['open']>>;
  try {
    opened = await model.open(disk);
  } catch (error) {
    if (error instanceof PermafrostError) return;
    throw error;
  }
  const { shard, clock } = opened;
  const promises = new Promises(events);
  const { keys, cursors } = promises;
  const questions = [...keys.map(questionOf), ...cursors.map((cursor) => ({ cursor }))];
  const answers = await settled(shard.lookupMany(questions), clock);
  for (const [index, answer] of answers.entries()) {
    promises.judgeFound(answer);
    const key = keys[index];
    if (answer.kind === 'found' && key !== undefined && answer.key !== key) throw new Error(`${answer.key} for ${key}`);
  }
  model.operations += answers.length;
  await settled(shard.close(), clock);
}

export async function misdirectedRound(round: Round, disturb?: Disturb): Promise<Work> {
  const random = new Random(round.seed);
  const settings = drawnSettings(random);
  const pageSize = physicalPageSize(settings.engine?.pageSize ?? 0);
  const kind = random.pick(['read', 'write'] as const);
  const distance = random.pick([pageSize, -pageSize, slotSpacing, 61, random.between(-300, 300) || 1]);
  const plan: ShardPlan = { seed: round.seed, turns: 2, closes: true, settings, lossy: true, disturb };
  const model = new ShardModel(plan);
  const faults: readonly Fault[] = [{ misdirectedBy: distance }];
  const exploration = exploreFaults<ShardEvent>({
    workload: model.workload,
    verify: (disk, events) => judge(model, disk, events),
    faults,
    operationFilter: (operation) => operation.kind === kind,
    randomSurvivals: 1,
    ...round,
  });
  return faultWork(exploration, model);
}

export const misdirectedExperiment: Experiment = {
  name: 'shard-misdirected',
  family: 'simulated',
  rows: [15],
  promise:
    'when any one read or write succeeds at another place (by seed: reads or writes, and how far off), nothing is answered that was not put under its key, and what is refused has a code; that a record is missing or an older one is found cannot always be noticed, as no checksum knows its place',
  leastWork: { cases: 8, diskStates: 24, operations: 50 },
  run: (round) => misdirectedRound(round),
};
