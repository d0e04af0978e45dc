/** Checkpoints that are stale, of the future, of another store, or damaged. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../../src/freezer/checkpoint.ts';
import type { FreezerStart } from '../../../src/freezer/start.ts';
import { diskOf, judge, newest, startsOf } from '../hazards/small-store.ts';
import { stores, told } from './stores.ts';

/** The same start with another checkpoint. */
function withCheckpoint(start: FreezerStart, checkpoint: Checkpoint): FreezerStart {
  assert.ok(start.kind !== 'create');
  return { ...start, checkpoint };
}

const recordBytes = 36;

/** Checkpoints near the right one: each field lower and higher, alone and two together. */
function nearby(right: Checkpoint): readonly Checkpoint[] {
  const sections = [right.section, right.section - 1, right.section + 1].filter((section) => section >= 0);
  const sizes = [0, -recordBytes, recordBytes, -1, 1, -2 * recordBytes, 64 - (right.keyBytes % 64), 10 * recordBytes];
  const keyBytes = new Set([0, ...sizes.map((more) => right.keyBytes + more)].filter((size) => size >= 0));
  const tables = [1, 1 / 2, 2, 1 / 4, 4].map((factor) => right.tableSize * factor).filter((size) => size >= 1);
  return sections.flatMap((section) =>
    [...keyBytes].flatMap((size) =>
      [...tables, 3, 0].map((tableSize) => ({ epoch: right.epoch, section, keyBytes: size, tableSize })),
    ),
  );
}

for (const { name, store } of stores) {
  describe(`${name} opens right or is refused unchanged`, () => {
    for (const way of startsOf(store)) {
      test(`with a checkpoint that names another end or table, by ${way.name}`, async () => {
        for (const checkpoint of nearby(newest(store).checkpoint)) {
          const start = withCheckpoint(way.start, checkpoint);
          await told(JSON.stringify(checkpoint), () =>
            judge(diskOf(store), store.settings, { ...way, start }, 'right'),
          );
        }
      });

      test(`with any bit of its checkpoint flipped, by ${way.name}`, async () => {
        const bytes = encodeCheckpoint(newest(store).checkpoint);
        for (let bit = 8 * 8; bit < bytes.length * 8; bit++) {
          const flipped = Buffer.from(bytes);
          flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
          let checkpoint: Checkpoint;
          try {
            checkpoint = decodeCheckpoint(flipped);
          } catch {
            continue;
          }
          const start = withCheckpoint(way.start, checkpoint);
          await told(JSON.stringify(checkpoint), () =>
            judge(diskOf(store), store.settings, { ...way, start }, 'right'),
          );
        }
      });
    }
  });
}
