/** Damages a small shard in every way that fits into a second or two. Runs in a thread of its own. */
import assert from 'node:assert/strict';
import { PermafrostError } from '../../src/base/errors.ts';
import { archiveKey } from '../../src/shard/engine-settings.ts';
import type { Answer } from '../../src/shard/lookup.ts';
import { offerExplorations } from '../simulation/apart.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { openShard, put, settled, textIn } from './shard-harness.ts';

interface Stored {
  readonly key: string;
  readonly cursor: Buffer;
  readonly text: string;
}

interface Sample {
  readonly disk: SimulatedDisk;
  readonly stored: readonly Stored[];
}

export interface DamageCount {
  cases: number;
  refused: number;
  corrupt: number;
  unharmed: number;
}

const keys = ['a', 'b', 'c', 'd'];

/** A shard of a few sections, closed cleanly. */
async function sampleShard(): Promise<Sample> {
  const { shard, disk, clock } = await openShard();
  const stored: Stored[] = [];
  for (let round = 0; round < 4; round++) {
    const texts = Object.fromEntries(keys.map((key) => [key, `${key}${round} ${'x'.repeat(20)}`]));
    const result = await settled(shard.put(put(`p${round}`, texts)), clock);
    for (const [index, { cursor }] of result.records.entries()) {
      const key = keys[index] ?? assert.fail();
      stored.push({ key, cursor, text: texts[key] ?? assert.fail() });
    }
    clock.advance(1000);
  }
  await settled(shard.close(), clock);
  assert.ok(shard.freezer.end.section > 0);
  return { disk, stored };
}

/** Opens and reads everything: a refusal, or each answer right or corrupt; never wrong, never missing. */
async function judge(sample: Sample, disk: SimulatedDisk, what: string, count: DamageCount): Promise<void> {
  count.cases++;
  let opened: Awaited<ReturnType<typeof openShard>>;
  try {
    opened = await openShard(disk);
  } catch (error) {
    assert.ok(error instanceof PermafrostError, `${what}: refused without a code: ${error}`);
    count.refused++;
    return;
  }
  const { shard, clock } = opened;
  const byKey = await shard.lookupMany(keys.map((key) => ({ key, storedKey: archiveKey(key) })));
  const byCursor = await shard.lookupMany(sample.stored.map(({ cursor }) => ({ cursor })));
  const newest = new Map(sample.stored.map(({ key, text }) => [key, text]));
  const wrong: string[] = [];
  let harmed = false;
  const check = (answer: Answer | undefined, text: string | undefined, name: string): void => {
    if (answer?.kind === 'corrupt') harmed = true;
    else if (textIn(answer) !== `=${text}`) wrong.push(`${name}: ${textIn(answer)}`);
  };
  for (const [index, key] of keys.entries()) check(byKey[index], newest.get(key), `key ${key}`);
  for (const [index, { cursor, text }] of sample.stored.entries())
    check(byCursor[index], text, `cursor ${cursor.toString('hex')}`);
  assert.deepEqual(wrong, [], what);
  if (harmed) count.corrupt++;
  else count.unharmed++;
  await settled(shard.close(), clock);
  assert.deepEqual(disk.openHandles, [], what);
}

/** Offsets of a file worth a case: all, but few of the padding of two-slot files. */
function offsetsOf(path: string, size: number): number[] {
  const isSlots = path === 'checkpoint' || path === 'commit-mark';
  return Array.from({ length: size }, (_, at) => at).filter((at) => !isSlots || at % 4096 < 130 || at % 509 === 0);
}

async function flipEveryByte(): Promise<DamageCount> {
  const sample = await sampleShard();
  const count: DamageCount = { cases: 0, refused: 0, corrupt: 0, unharmed: 0 };
  for (const path of sample.disk.files()) {
    for (const at of offsetsOf(path, sample.disk.bytesOf(path).length)) {
      const disk = sample.disk.clone();
      disk.mutate(path, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        return bytes;
      });
      await judge(sample, disk, `${path}: bit ${at % 8} of byte ${at}`, count);
    }
  }
  return count;
}

await offerExplorations({ 'a bit of every byte flipped': flipEveryByte });
