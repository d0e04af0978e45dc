/**
 * A table that lost heads, in ways that leave every slot of it good: zeros, an older page, a page from another place.
 * Opened cleanly it is corruption for whoever asks; after a crash the buckets are derived from the key index.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codeOf } from '../../src/base/errors.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { Checkpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { bucketDigest, digestOf, HeadDigests } from '../../src/freezer/head-digests.ts';
import type { FreezerStart, TableState } from '../../src/freezer/start.ts';
import { bucketSize, slotSize, slotState } from '../../src/freezer/table-entry.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const tablePath = 'table/7461626c65';
const headerSize = 8;
const windowSize = 64 * bucketSize;
const settings = { ...namedSettings, tableInitialSize: 256, tableResizeFrequency: 2, tableResizeChunkSize: 96 };
/** A value journal whose numbers the mirror has no room for. */
const unmirrored = { ...settings, valueTargetSize: 2 ** 40 };
const keys = Array.from({ length: 300 }, (_, index) => key(`key${index}`));

interface Made {
  readonly disk: SimulatedDisk;
  readonly checkpoint: Checkpoint;
  readonly table: TableState;
  /** The table as it was one sync earlier. */
  readonly earlier: Buffer;
}

async function filled(rounds: number, used = settings): Promise<Made> {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, used, { kind: 'create' });
  let checkpoint = await freezer.sync();
  let earlier = disk.bytesOf(tablePath);
  for (let round = 0; round < rounds; round++) {
    earlier = Buffer.from(disk.bytesOf(tablePath));
    await freezer.putMany(keys.map((name, index) => ({ key: name, value: round * 1000 + index })));
    checkpoint = await freezer.sync();
  }
  const table = freezer.tableState;
  await freezer.release();
  return { disk, checkpoint, table, earlier };
}

type Damage = (bytes: Buffer, made: Made) => Buffer;

const damages: readonly (readonly [string, Damage])[] = [
  ['a head is zeroed', (bytes) => emptied(bytes, isNumber(headSlots(bytes)[7]))],
  ['every slot of a window is zeroed', (bytes) => emptied(bytes, (slot) => Math.floor(slot / 128) === 1)],
  ['all slots are zeroed', (bytes) => emptied(bytes, () => true)],
  [
    'a window is an older one',
    (bytes, { earlier }) => {
      const [start, end] = [headerSize + windowSize, headerSize + 2 * windowSize];
      return Buffer.concat([bytes.subarray(0, start), earlier.subarray(start, end), bytes.subarray(end)]);
    },
  ],
  [
    'two windows are exchanged',
    (bytes) => {
      const at = (window: number): Buffer =>
        bytes.subarray(headerSize + window * windowSize, headerSize + (window + 1) * windowSize);
      return Buffer.concat([bytes.subarray(0, headerSize), at(1), at(0), bytes.subarray(headerSize + 2 * windowSize)]);
    },
  ],
];

function usedSlots(bytes: Buffer): readonly number[] {
  const slots: number[] = [];
  for (let at = headerSize; at < bytes.length; at += slotSize)
    if (slotState(bytes, at) !== 'empty') slots.push((at - headerSize) / slotSize);
  return slots;
}

function isNumber(chosen: number | undefined): (slot: number) => boolean {
  return (slot) => slot === chosen;
}

/** The slots without which their bucket has another head; a resize leaves the head in both. */
function headSlots(bytes: Buffer): readonly number[] {
  return usedSlots(bytes).filter((slot) => {
    const half = slot % 2;
    const start = headerSize + (slot - half) * slotSize;
    const bucket = Buffer.from(bytes.subarray(start, start + bucketSize));
    bucket.fill(0, half * slotSize, (half + 1) * slotSize);
    return bucketDigest(bucket, 0) !== bucketDigest(bytes, start);
  });
}

function emptied(bytes: Buffer, isChosen: (slot: number) => boolean): Buffer {
  const copy = Buffer.from(bytes);
  for (const slot of usedSlots(bytes))
    if (isChosen(slot)) copy.fill(0, headerSize + slot * slotSize, headerSize + (slot + 1) * slotSize);
  return copy;
}

async function opened({ disk, ...made }: Made, damage: Damage, start: FreezerStart): Promise<Freezer<number>> {
  const damaged = disk.clone();
  damaged.mutate(tablePath, (bytes) => damage(bytes, { disk, ...made }));
  return Freezer.open(damaged, settings, start);
}

const rounds = [1, 2, 5];

describe('a table whose slots are good and whose heads are not', () => {
  for (const [what, damage] of damages) {
    for (const count of rounds) {
      test(`${what}: lookups say so after a clean close, ${count} syncs`, async () => {
        const made = await filled(count);
        const { checkpoint, table } = made;
        const start: FreezerStart = { kind: 'clean', checkpoint, table };
        const freezer = await opened(made, damage, start).catch((error: unknown) => error);
        if (!(freezer instanceof Freezer)) {
          assert.equal(codeOf(freezer), 'corruption');
          return;
        }
        const lookups = await freezer.lookupMany(keys.map((name) => ({ key: name })));
        const corrupt = lookups.filter((lookup, index) => {
          if (lookup.kind === 'found') assert.equal(lookup.value, (count - 1) * 1000 + index);
          else assert.equal(lookup.kind === 'failed' && codeOf(lookup.error), 'corruption', `key${index}`);
          return lookup.kind === 'failed';
        });
        assert.ok(corrupt.length > 0);
        const broken = keys[lookups.findIndex(({ kind }) => kind === 'failed')] ?? key('none');
        await assert.rejects(freezer.put(broken, 1), (error) => codeOf(error) === 'corruption');
        await freezer.release();
      });

      test(`${what}: the heads are derived after a crash, ${count} syncs`, async () => {
        const made = await filled(count);
        const { checkpoint, table } = made;
        const freezer = await opened(made, damage, { kind: 'roll-forward', checkpoint, table });
        const values = await freezer.getMany(keys.map((name) => ({ key: name })));
        assert.deepEqual(
          values,
          keys.map((_, index) => (count - 1) * 1000 + index),
        );
        await freezer.putMany(keys.map((name, index) => ({ key: name, value: index })));
        await freezer.sync();
        assert.deepEqual(
          await freezer.getMany(keys.map((name) => ({ key: name }))),
          keys.map((_, index) => index),
        );
        await freezer.release();
      });
    }
  }

  test('without digests nothing but the slots can be judged, and nothing else is', async () => {
    const made = await filled(1);
    const [, damage] = damages[0] ?? assert.fail('no damage');
    const table = { ...made.table, digests: undefined };
    const freezer = await opened(made, damage, { kind: 'clean', checkpoint: made.checkpoint, table });
    const lookups = await freezer.lookupMany(keys.map((name) => ({ key: name })));
    assert.ok(lookups.some(({ kind }) => kind === 'missing'));
    await freezer.release();
  });
});

test('heads that an interrupted sync has written are taken back, and their neighbours believed', async () => {
  for (const used of [settings, unmirrored]) await checkTakenBack(used);
});

async function checkTakenBack(used: typeof settings): Promise<void> {
  const { disk, checkpoint, table } = await filled(1, used);
  const ahead = await Freezer.open(disk, used, { kind: 'clean', checkpoint, table });
  const changed = keys.slice(0, 40);
  await ahead.putMany(changed.map((name) => ({ key: name, value: -1 })));
  await ahead.sync();
  await ahead.release();
  const freezer = await Freezer.open(disk, used, { kind: 'roll-forward', checkpoint, table });
  const lookups = await freezer.getMany(keys.map((name) => ({ key: name })));
  assert.deepEqual(
    lookups,
    keys.map((_, index) => (index < changed.length ? -1 : index)),
  );
  await freezer.release();
}

test('digests follow puts, syncs and resizes: they are always what the file adds up to', async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, { ...settings, tableInitialSize: 16 }, { kind: 'create' });
  const sizes = new Set<number>();
  for (let round = 0; round < 24; round++) {
    await freezer.putMany(keys.slice(0, 20 + round * 10).map((name) => ({ key: name, value: round })));
    await freezer.sync();
    const digests = freezer.tableState.digests ?? assert.fail('no digests');
    const bytes = disk.bytesOf(tablePath).subarray(headerSize);
    assert.equal(digests.tableSize, freezer.tableSize);
    for (const [window, digest] of digests.words.entries()) {
      const at = window * digests.windowBuckets * bucketSize;
      assert.equal(digestOf(bytes.subarray(at, at + digests.windowBuckets * bucketSize)), digest, `round ${round}`);
    }
    sizes.add(freezer.tableSize);
  }
  assert.ok(sizes.size > 3, [...sizes].join());
  await freezer.release();
});

test('a resize takes nothing from the file that the mirror knows better', async () => {
  const disk = new SimulatedDisk();
  const growing = { ...settings, tableInitialSize: 64, tableResizeChunkSize: 24 };
  const freezer = await Freezer.open(disk, growing, { kind: 'create' });
  const sizes = new Set<number>();
  const newest = keys.map((_, index) => index);
  await freezer.putMany(keys.map((name, index) => ({ key: name, value: index })));
  await freezer.sync();
  for (let round = 1; round < 40; round++) {
    const at = (round * 7) % keys.length;
    newest[at] = round * 1000;
    await freezer.put(keys[at] ?? key('none'), round * 1000);
    // Between two syncs the disk loses a part of the table, with the slots of the last checkpoint.
    disk.mutate(tablePath, (bytes) => bytes.fill(0, headerSize, headerSize + 40 * bucketSize));
    await freezer.sync();
    assert.deepEqual(await freezer.getMany(keys.map((name) => ({ key: name }))), newest);
    sizes.add(freezer.tableSize);
  }
  assert.ok(sizes.size > 1, [...sizes].join());
  await freezer.release();
});

test('a table that lost nearly everything is refused after a crash, in bounded memory', async () => {
  const disk = new SimulatedDisk();
  const large = { ...settings, tableInitialSize: 2 ** 19 };
  const freezer = await Freezer.open(disk, large, { kind: 'create' });
  await freezer.put(key('a'), 1);
  const checkpoint = await freezer.sync();
  const { windowBuckets, words } = freezer.tableState.digests ?? assert.fail('no digests');
  await freezer.release();
  const start = (digests: HeadDigests): FreezerStart => ({
    kind: 'roll-forward',
    checkpoint,
    table: { initialSize: large.tableInitialSize, digests },
  });
  const lost = words.map((word) => word + 1);
  await assert.rejects(Freezer.open(disk, large, start(new HeadDigests(windowBuckets, lost))), {
    code: 'corruption',
    message: /made anew/,
  });
  const again = await Freezer.open(disk, large, start(new HeadDigests(windowBuckets, words)));
  assert.equal(await again.get({ key: key('a') }), 1);
  await again.release();
});

test('digests of another size than the checkpoint says are refused', async () => {
  const { disk, checkpoint, table } = await filled(1);
  const digests = HeadDigests.ofEmpty(checkpoint.tableSize * 2);
  for (const kind of ['clean', 'roll-forward'] as const) {
    const start: FreezerStart = { kind, checkpoint, table: { ...table, digests } };
    await assert.rejects(
      Freezer.open(disk.clone(), settings, start),
      (error) => codeOf(error) === 'checkpoint-mismatch',
    );
  }
});

test('a chain that leads to a key of another one is corruption', async () => {
  const made = await filled(1);
  const { checkpoint, table } = made;
  const exchanged = damages.at(-1)?.[1] ?? assert.fail('no damage');
  const trusting: FreezerStart = { kind: 'clean', checkpoint, table: { ...table, digests: undefined } };
  const outcome = await opened(made, exchanged, trusting).catch((error: unknown) => error);
  assert.equal(codeOf(outcome), 'checkpoint-mismatch', 'the samples at opening notice so much of it');
  const bucketOf = (name: Buffer): number => crc32c(name) & (settings.tableInitialSize - 1);
  const [one, other] = [keys[0], keys.find((name) => bucketOf(name) !== bucketOf(keys[0] ?? name))];
  assert.ok(one !== undefined && other !== undefined);
  const overwritten: Damage = (bytes) => {
    const copy = Buffer.from(bytes);
    const from = headerSize + bucketOf(other) * bucketSize;
    bytes.copy(copy, headerSize + bucketOf(one) * bucketSize, from, from + bucketSize);
    return copy;
  };
  const freezer = await opened(made, overwritten, trusting);
  const lookups = await freezer.lookupMany(keys.map((name) => ({ key: name })));
  const failed = lookups.filter(({ kind }) => kind !== 'found');
  assert.ok(failed.length > 0);
  for (const lookup of failed) assert.equal(lookup.kind === 'failed' && codeOf(lookup.error), 'corruption');
  await freezer.release();
});
