import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from '../../src/freezer/head-digests.ts';
import { PlainWindows } from '../../src/freezer/plain-window.ts';
import {
  bucketSize,
  newestSlot,
  readSlot,
  type Slot,
  slotSize,
  slotState,
  writeSlot,
} from '../../src/freezer/table-entry.ts';

const limits = { epoch: 5, section: 3, recordCount: 10, resizeFrequency: 4 };
const bucketCount = 4;
const windowSize = bucketCount * bucketSize;

/** Around what is allowed, and above 32 bits. */
const slots: fc.Arbitrary<Slot | undefined> = fc.option(
  fc.record({
    epoch: fc.constantFrom(1, 2, 3, 4, 5, 5, 5, 6, 7, 2 ** 32 + 1),
    section: fc.constantFrom(0, 1, 2, 3, 3, 4, 2 ** 32),
    position: fc.constantFrom(0, 1, 9, 9, 10, 2 ** 32),
    added: fc.constantFrom(0, 3, 4, 255),
  }),
  { nil: undefined },
);
const soundSlots: fc.Arbitrary<Slot | undefined> = fc.option(
  fc.record({
    epoch: fc.integer({ min: 1, max: 5 }),
    section: fc.integer({ min: 0, max: 3 }),
    position: fc.integer({ min: 0, max: 9 }),
    added: fc.integer({ min: 0, max: 6 }),
  }),
  { nil: undefined },
);
const allSlots = (slot: fc.Arbitrary<Slot | undefined>): fc.Arbitrary<readonly (Slot | undefined)[]> =>
  fc.array(slot, { minLength: 2 * bucketCount, maxLength: 2 * bucketCount });
const windows = fc.oneof(
  allSlots(soundSlots),
  fc.tuple(allSlots(soundSlots), slots, fc.nat(2 * bucketCount - 1)).map(([all, slot, at]) => all.with(at, slot)),
);
const flips = fc.option(fc.record({ at: fc.nat(windowSize - 1), bit: fc.nat(7) }), { nil: undefined });

function windowOf(wanted: readonly (Slot | undefined)[]): Buffer {
  const bytes = Buffer.alloc(windowSize);
  for (const [index, slot] of wanted.entries()) if (slot !== undefined) writeSlot(bytes, index * slotSize, slot);
  return bytes;
}

/** What the scan asks of a slot, word for word. */
function isSlotPlain(bytes: Buffer, at: number): boolean {
  const state = slotState(bytes, at);
  if (state !== 'valid') return state === 'empty';
  const { epoch, section, position } = readSlot(bytes, at);
  const isInside = section < limits.section || (section === limits.section && position < limits.recordCount);
  return epoch > 0 && epoch <= limits.epoch && isInside && position < 2 ** 32;
}

function isBucketPlain(bytes: Buffer, at: number): boolean {
  if (!isSlotPlain(bytes, at) || !isSlotPlain(bytes, at + slotSize)) return false;
  if (slotState(bytes, at) === 'empty' || slotState(bytes, at + slotSize) === 'empty') return true;
  return readSlot(bytes, at).epoch !== readSlot(bytes, at + slotSize).epoch;
}

const bucketsAt = Array.from({ length: bucketCount }, (_, index) => index * bucketSize);

describe('a window that the crash left alone', () => {
  test('a window is plain when the scan finds nothing in it', () => {
    let plainCount = 0;
    fc.assert(
      fc.property(windows, flips, (wanted, flip) => {
        const bytes = windowOf(wanted);
        if (flip !== undefined) bytes[flip.at] = (bytes[flip.at] ?? 0) ^ (1 << flip.bit);
        const plain = new PlainWindows(limits);
        const expected = bucketsAt.every((at) => isBucketPlain(bytes, at));
        assert.equal(plain.isPlain(bytes, [], undefined), expected);
        if (!expected) return;
        plainCount++;
        assert.equal(plain.digest >>> 0, digestOf(bytes));
        const counts = bucketsAt.map((at) => newestSlot(bytes, at)?.added ?? 0);
        assert.equal(plain.resizable, counts.filter((added) => added >= limits.resizeFrequency).length);
      }),
      { numRuns: 5000 },
    );
    assert.ok(plainCount > 100, `${plainCount} plain windows`);
  });

  const slot: Slot = { epoch: 4, section: 1, position: 7, added: 1 };
  const own = windowOf([slot, { ...slot, epoch: 5, position: 8 }, slot]);

  test('its heads have the digest that was saved', () => {
    const plain = new PlainWindows(limits);
    assert.ok(plain.isPlain(own, [], digestOf(own)));
    assert.ok(!plain.isPlain(own, [], digestOf(own) ^ 1));
    assert.ok(!plain.isPlain(Buffer.alloc(windowSize), [], digestOf(own)));
  });

  test('copies that are others are not passed over, the same ones and zeros are', () => {
    const plain = new PlainWindows(limits);
    const other = windowOf([slot, { ...slot, epoch: 6, position: 8 }, slot]);
    assert.ok(plain.isPlain(own, [Buffer.from(own), Buffer.alloc(windowSize)], digestOf(own)));
    assert.ok(!plain.isPlain(own, [other], digestOf(own)));
    assert.ok(!plain.isPlain(own, [Buffer.from(own), other], digestOf(own)));
  });
});
