import { salvageShard } from '../../src/shard/salvage.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { openShard } from '../../test/shard/shard-harness.ts';
import { Random } from '../../test/simulation/random.ts';
import type { Round, Work } from '../experiment.ts';
import { noWork } from '../work.ts';
import { judgeSalvage } from './copying.ts';
import { changesAnything, type Damages } from './damages.ts';
import { judgeVerify } from './naming.ts';
import type { Surgeons } from './operation.ts';
import { judgeReading } from './reading.ts';
import type { Sample } from './sample.ts';

export const surgeons: Surgeons = { open: openShard, verify: verifyShard, salvage: salvageShard };

export interface Operation {
  readonly sample: Sample;
  readonly damages: Damages;
  /** One case in so many is done; which ones, the round's seed says. */
  readonly share: number;
  readonly surgeons: Surgeons;
}

/** Damages the sample in one way after the other; throws at the first that is not borne as promised. */
export async function operate(
  { sample, damages, share, surgeons: judged }: Operation,
  { seed, signal }: Pick<Round, 'seed' | 'signal'>,
): Promise<Work> {
  const files = sample.disk.snapshot();
  const work = { ...noWork };
  let index = seed % share;
  for await (const damage of damages(sample, new Random(seed))) {
    if (index++ % share !== 0 || !changesAnything(damage, files)) continue;
    if (signal.aborted) break;
    const reading = await judgeReading(sample, damage, judged);
    await judgeVerify(sample, damage, reading.outcome, judged);
    await judgeSalvage(sample, damage, judged);
    work.cases++;
    // The damaged disk that was read, the one that was verified, the one that was salvaged, and the copy.
    work.diskStates += 4;
    work.operations += reading.answerCount;
  }
  return work;
}
