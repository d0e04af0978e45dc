import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SliceSizes } from '../../src/queue/slice-sizes.ts';

const mebibyte = 1_048_576;

test('a lookup goes by its own last slice', () => {
  const sizes = new SliceSizes();
  assert.deepEqual(
    [undefined, 1, 16_384, 262_144, mebibyte, 100 * mebibyte].map((meanBytes) => sizes.countFor(meanBytes)),
    [16, 256, 256, 16, 4, 1],
  );
});

test('the first slice of a lookup grows while others bring little, and shrinks at once when one brings much', () => {
  const sizes = new SliceSizes();
  const counts = Array.from({ length: 5 }, () => {
    sizes.note(1024);
    return sizes.countFor(undefined);
  });
  assert.deepEqual(counts, [32, 64, 128, 256, 256]);
  sizes.note(mebibyte);
  assert.equal(sizes.countFor(undefined), 4);
  sizes.note(1024);
  assert.equal(sizes.countFor(undefined), 8);
});
