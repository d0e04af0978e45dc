/**
 * Surgery: files of a small shard are damaged in every way that fits into a round, one at a time; then the shard is
 * opened and read, verified and salvaged. A round takes its share of the cases, every n-th. The n seeds from a multiple
 * of n on take one shard and all of its cases; other seeds make other shards and flip other bits.
 *
 * What opening cannot tell, and only verify names: a section file from a section whose values end at the same byte, of
 * which opening takes samples, where a key of it shares a chain with a key of the shard. What nothing can tell, so that
 * it is no case here: a value in the place of another one of the same key and size. Both files of a section from
 * elsewhere are copied by salvage, which says that they are not of the size that was written.
 */
import type { Experiment, Round, Work } from '../experiment.ts';
import { type Damages, flippedBits, lengths, lostPages, movedFiles } from './damages.ts';
import { operateOnDirectory } from './real-directory.ts';
import { operate, surgeons } from './rounds.ts';
import { closedShard, crashedShard, type Sample } from './sample.ts';

const closedPromise =
  'opened and read, it is refused with nothing changed, or each answer is right or corrupt, never wrong, never missing; ' +
  'verify names the damaged file; salvage copies what was stored, lists the rest and leaves the old shard as it was';
const crashedPromise = `${closedPromise}; only behind the commit mark may records be cut off`;

/** Shards whose files are put into the sample: other keys of another shape and of the same, and the same keys. */
async function others(sample: Sample, seed: number): Promise<readonly Sample[]> {
  return [
    await closedShard(seed + 1, { prefix: 'm', sizes: 'even' }),
    await closedShard(sample.seed, { prefix: 'z', sizes: 'even' }),
    await closedShard(seed + 2, { prefix: 'k', sizes: 'odd' }),
  ];
}

function experiment(
  name: string,
  row: number,
  of: { readonly kind: 'closed' | 'crashed'; readonly what: string; readonly damages: Damages; readonly share: number },
  casesMin: number,
): Experiment {
  const { kind, what, damages, share } = of;
  const state = kind === 'closed' ? 'a shard that was closed cleanly' : 'a shard that was lost in a crash';
  return {
    name,
    family: 'surgery',
    rows: [row],
    promise: `${what} in ${state}: ${kind === 'closed' ? closedPromise : crashedPromise}`,
    leastWork: { cases: casesMin },
    run: async (round: Round): Promise<Work> => {
      const shardSeed = Math.floor(round.seed / share);
      const sample = await (kind === 'closed' ? closedShard(shardSeed) : crashedShard(shardSeed));
      return operate({ sample, damages, share, surgeons }, round);
    },
  };
}

const flips = { what: 'a bit of every byte flipped', damages: flippedBits };
const sizes = { what: 'every file cut to every length, and extended', damages: lengths };
const pages = { what: 'every page and sector zeroed or overwritten', damages: lostPages };
const moves = { what: 'every file removed, swapped and from another shard', damages: movedFiles(others) };

export const surgeryExperiments: readonly Experiment[] = [
  experiment('closed-flips', 13, { kind: 'closed', share: 16, ...flips }, 150),
  experiment('closed-lengths', 14, { kind: 'closed', share: 16, ...sizes }, 150),
  experiment('closed-pages', 14, { kind: 'closed', share: 10, ...pages }, 50),
  experiment('closed-moves', 14, { kind: 'closed', share: 1, ...moves }, 100),
  experiment('crashed-flips', 13, { kind: 'crashed', share: 16, ...flips }, 150),
  experiment('crashed-lengths', 14, { kind: 'crashed', share: 16, ...sizes }, 150),
  experiment('crashed-pages', 14, { kind: 'crashed', share: 10, ...pages }, 50),
  experiment('crashed-moves', 14, { kind: 'crashed', share: 1, ...moves }, 100),
  {
    name: 'real-directory',
    family: 'surgery',
    rows: [13, 14],
    promise:
      'verify and salvage find on the files of a real directory what they find on simulated ones; salvage leaves the old ' +
      'files as they were, and its copy is sound',
    leastWork: { cases: 12 },
    run: operateOnDirectory,
  },
];
