/** The small shards that are operated on: what they hold is known to the last record. */
import { assert, present } from '../../src/base/assert.ts';
import { decodeCursor } from '../../src/freezer/cursor.ts';
import { readCommitMark } from '../../src/shard/commit-mark.ts';
import type { EngineSettings } from '../../src/shard/engine-settings.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import { type OpenedShard, openShard, put, settled, tinyEngine, tinySettings } from '../../test/shard/shard-harness.ts';
import { Random } from '../../test/simulation/random.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';

export interface Stored {
  readonly key: string;
  readonly text: string;
  readonly putId: string;
  readonly recordIndex: number;
  readonly cursor: Buffer;
  readonly section: number;
  /** Number of the record in its section. */
  readonly position: number;
  /** Where its value's frame begins and ends, behind the header of the value file. */
  readonly valueOffset: number;
  readonly valueEnd: number;
  /** It lies below the commit mark: nothing explains its absence but damage. */
  readonly belowMark: boolean;
}

export interface Sample {
  /** Closed cleanly, or lost to a crash after its last commit. */
  readonly kind: 'closed' | 'crashed';
  readonly seed: number;
  readonly disk: SimulatedDisk;
  /** Every record in the order of the archive. */
  readonly stored: readonly Stored[];
}

/** A few records fill a section, several pages and the table. */
export const sampleEngine: EngineSettings = { ...tinyEngine, valueTargetSize: 250 };
/** No sync by time: what lies behind the checkpoint is up to the samples. */
export const sampleSettings: ShardSettings = { ...tinySettings, engine: sampleEngine, syncIntervalMs: 1_000_000 };

const keys = 'abcd';

type Written = Omit<Stored, 'section' | 'position' | 'valueOffset' | 'valueEnd' | 'belowMark'>;

/**
 * What tells shards apart: a letter before their keys, and sizes that no other has. Shards of the same keys must not
 * have a value of the same key and size at the same offset of the same section: nothing in the format tells such twins.
 */
export interface Kin {
  readonly prefix: string;
  readonly sizes: 'even' | 'odd';
}

const own: Kin = { prefix: 'k', sizes: 'even' };

/** A shard of a few sections with old versions of its keys, closed cleanly. */
export async function closedShard(seed: number, kin = own): Promise<Sample> {
  const opened = await openShard(undefined, sampleSettings);
  const written = await fill(opened, new Random(seed), kin, { firstPut: 0, putCount: 9 });
  await settled(opened.shard.close(), opened.clock);
  return { kind: 'closed', seed, disk: opened.disk, stored: written.map(placed(() => true)) };
}

/** A shard that was closed, taken up and lost in a crash with all that no sync covered, several commits later. */
export async function crashedShard(seed: number): Promise<Sample> {
  const random = new Random(seed);
  const opened = await openShard(undefined, sampleSettings);
  const before = await fill(opened, random, own, { firstPut: 0, putCount: 4 });
  await settled(opened.shard.close(), opened.clock);
  const again = await openShard(opened.disk, sampleSettings);
  const behind = await fill(again, random, own, { firstPut: 4, putCount: 6 });
  const disk = again.disk.crash('synced');
  const { value: mark } = present(await readCommitMark(disk), 'a commit mark');
  const belowMark = (section: number, end: number): boolean =>
    section < mark.section || (section === mark.section && end <= mark.valueBytes);
  const stored = [...before, ...behind].map(placed(belowMark));
  assert(
    stored.some((record) => !record.belowMark),
    'a crashed sample has a commit behind its mark',
  );
  return { kind: 'crashed', seed, disk, stored };
}

interface Filling {
  readonly firstPut: number;
  readonly putCount: number;
}

/** One commit a put: the first of every key, the others of a few. */
async function fill({ shard, clock }: OpenedShard, random: Random, kin: Kin, filling: Filling): Promise<Written[]> {
  const written: Written[] = [];
  const sizes = sizesOf(random, kin, filling);
  for (let index = filling.firstPut; index < filling.firstPut + filling.putCount; index++) {
    const putId = `p${index}`;
    const count = index === 0 ? keys.length : random.between(1, 3);
    const pairs = random
      .shuffled([...keys])
      .slice(0, count)
      .map((key) => [`${kin.prefix}${key}`, `${key}${index} ${'x'.repeat(sizes.pop() ?? 0)}`] as const);
    const { records } = await settled(shard.put(put(putId, pairs)), clock);
    for (const [recordIndex, { cursor }] of records.entries()) {
      const [key, text] = present(pairs[recordIndex], 'a record of the put');
      written.push({ key, text, putId, recordIndex, cursor });
    }
    clock.advance(1000);
  }
  return written;
}

/** More than there are records, none twice, also not in another filling of the shard. */
function sizesOf(random: Random, kin: Kin, { firstPut, putCount }: Filling): number[] {
  const first = firstPut * keys.length * 2 + (kin.sizes === 'odd' ? 1 : 0);
  return random.shuffled(Array.from({ length: putCount * keys.length }, (_, index) => first + 2 * index));
}

function placed(belowMark: (section: number, end: number) => boolean): (written: Written) => Stored {
  const counts = new Map<number, number>();
  return (written) => {
    const { section, offset, size } = decodeCursor(written.cursor);
    const position = counts.get(section) ?? 0;
    counts.set(section, position + 1);
    return {
      ...written,
      section,
      position,
      valueOffset: offset,
      valueEnd: offset + size,
      belowMark: belowMark(section, offset + size),
    };
  };
}
