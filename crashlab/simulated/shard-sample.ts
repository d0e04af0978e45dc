/** Shards that were used for a while and then closed or killed, for what is done to them offline. */
import { drawnSettings, ShardModel, type ShardPlan } from '../../test/shard/crash-model.ts';
import type { ShardEvent } from '../../test/shard/promises.ts';
import { Random } from '../../test/simulation/random.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Survival } from '../../test/simulation/survival.ts';

export interface Sample {
  readonly model: ShardModel;
  readonly disk: SimulatedDisk;
  /** What had happened to it. */
  readonly events: readonly ShardEvent[];
}

function modelFor(seed: number, plan: Partial<ShardPlan>): ShardModel {
  return new ShardModel({ turns: 6, settings: drawnSettings(new Random(seed)), ...plan, seed });
}

/** A shard that was closed cleanly. */
export async function closedShard(seed: number, plan: Partial<ShardPlan> = {}): Promise<Sample> {
  const model = modelFor(seed, plan);
  const disk = new SimulatedDisk();
  const events: ShardEvent[] = [];
  await model.workload(disk, events);
  return { model, disk: disk.crash('synced'), events };
}

/** A shard whose machine went down somewhere in the later half of its life. */
export async function crashedShard(seed: number, plan: Partial<ShardPlan> = {}): Promise<Sample> {
  const random = new Random(seed);
  const model = modelFor(seed, plan);
  const disk = new SimulatedDisk();
  const events: ShardEvent[] = [];
  const copies: { readonly disk: SimulatedDisk; readonly eventCount: number }[] = [];
  const every = random.between(2, 5);
  disk.watchSteps((step) => {
    if (step % every === 0) copies.push({ disk: disk.clone(), eventCount: events.length });
  });
  await model.workload(disk, events);
  const copy = random.pick(copies.slice(Math.floor(copies.length / 2)));
  const survival: Survival = random.chance(0.5) ? 'synced' : { seed };
  return { model, disk: copy.disk.crash(survival), events: events.slice(0, copy.eventCount) };
}
