/** One bit of one file is not what was written. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { headerSize } from '../../../src/blob/header.ts';
import { fileOf, judge, startsOf, tampered } from '../hazards/small-store.ts';
import { flipped, sizesTellNothing, stores, told } from './stores.ts';

for (const { name, store } of stores) {
  // Nothing in it that the others do not have.
  if (sizesTellNothing(store)) continue;
  const paths = [...store.files.keys()];
  describe(`${name} opens, and reads right or fails, or is refused unchanged`, () => {
    for (const way of startsOf(store)) {
      test(`with any bit of any file flipped, by ${way.name}`, async () => {
        for (const path of paths) {
          for (let offset = 0; offset < fileOf(store.files, path).length; offset++) {
            const bit = (offset * 5) % 8;
            const disk = tampered(store, (files) => files.set(path, flipped(fileOf(files, path), offset, bit)));
            const verdict = await told(`${path}, bit ${bit} of ${offset}`, () =>
              judge(disk, store.settings, way, 'right-or-failed'),
            );
            if (way.name === 'clean' || !path.startsWith('table/') || offset < headerSize) continue;
            assert.deepEqual(verdict, { kind: 'opened', failed: 0 }, `the key index mends the table: ${offset}`);
          }
        }
      });
    }
  });
}
