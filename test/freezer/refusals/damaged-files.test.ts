/** Files that are shorter, longer, missing, exchanged or rotten. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileOf, judge, type SmallStore, startsOf, tampered } from '../hazards/small-store.ts';
import { stores } from './stores.ts';

for (const { name, store } of stores) {
  const paths = [...store.files.keys()];
  describe(`${name} opens right or is refused unchanged`, () => {
    for (const way of startsOf(store)) {
      test(`as it is, by ${way.name}`, async () => {
        const verdict = await judge(
          tampered(store, () => {}),
          store.settings,
          way,
          'right',
        );
        assert.deepEqual(verdict, { kind: 'opened', failed: 0 });
      });

      test(`with any file cut to any length, by ${way.name}`, async () => {
        for (const path of paths) {
          for (let size = 0; size < fileOf(store.files, path).length; size++) {
            const disk = tampered(store, (files) => files.set(path, fileOf(files, path).subarray(0, size)));
            await told(`${path} cut to ${size}`, () => judge(disk, store.settings, way, 'right'));
          }
        }
      });

      test(`with any file longer, by zeros or by its own bytes, by ${way.name}`, async () => {
        for (const path of paths) {
          const bytes = fileOf(store.files, path);
          for (const more of [1, 28, 29, 57, 58, 75, 76, 77, 152, bytes.length - 8]) {
            for (const tail of [Buffer.alloc(more), Buffer.from(bytes.subarray(8, 8 + more))]) {
              const disk = tampered(store, (files) => files.set(path, Buffer.concat([bytes, tail])));
              await told(`${path} longer by ${more}`, () => judge(disk, store.settings, way, 'right'));
            }
          }
        }
      });

      test(`without any one file, by ${way.name}`, async () => {
        for (const path of paths) {
          const disk = tampered(store, (files) => files.delete(path));
          await told(`${path} missing`, () => judge(disk, store.settings, way, 'right'));
        }
      });

      test(`with any file emptied to its header, or to zeros, by ${way.name}`, async () => {
        for (const path of paths) {
          const bytes = fileOf(store.files, path);
          for (const emptied of [bytes.subarray(0, 8), Buffer.alloc(8), Buffer.alloc(bytes.length)]) {
            const disk = tampered(store, (files) => files.set(path, emptied));
            // A clean start looks at the sizes of old sections only: what is in them is found when it is read.
            const reads = way.name === 'clean' && emptied.length === bytes.length ? 'right-or-failed' : 'right';
            await told(`${path} emptied to ${emptied.length}`, () => judge(disk, store.settings, way, reads));
          }
        }
      });

      test(`with any bit of any file flipped, by ${way.name}`, async () => {
        for (const path of paths) {
          for (let offset = 0; offset < fileOf(store.files, path).length; offset++) {
            const bit = (offset * 5) % 8;
            const disk = tampered(store, (files) => files.set(path, flipped(fileOf(files, path), offset, bit)));
            await told(`${path}, bit ${bit} of ${offset}`, () => judge(disk, store.settings, way, 'right-or-failed'));
          }
        }
      });

      test(`with any two files of one kind exchanged, by ${way.name}`, async () => {
        for (const pairs of exchanges(paths, !sizesTellNothing(store))) {
          const disk = tampered(store, (files) => {
            for (const [left, right] of pairs) {
              const kept = fileOf(files, left);
              files.set(left, fileOf(files, right));
              files.set(right, kept);
            }
          });
          await told(`exchanged ${pairs.join(' and ')}`, () => judge(disk, store.settings, way, 'right'));
        }
      });
    }
  });
}

/**
 * Frames carry nothing but their checksum: two value files with frames of the same sizes cannot be told apart by this
 * format, and the engine does not try. Values that name their keys can be checked by who reads them.
 */
function sizesTellNothing({ end, sealed }: SmallStore): boolean {
  return sealed.length > 0 && sealed.every((line) => line.valueBytes === end.valueBytes);
}

/** Pairs of sections: their key files, their value files, and both. */
function exchanges(paths: readonly string[], valuesAlone: boolean): [string, string][][] {
  const sections = paths.filter((path) => path.startsWith('key/')).map((path) => path.slice('key/'.length));
  const pairs = sections.flatMap((left, index) => sections.slice(index + 1).map((right) => ({ left, right })));
  return pairs.flatMap(({ left, right }) => {
    const keys: [string, string] = [`key/${left}`, `key/${right}`];
    const values: [string, string] = [`value/${left}`, `value/${right}`];
    return [[keys], ...(valuesAlone ? [[values]] : []), [keys, values]];
  });
}

function flipped(bytes: Buffer, offset: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(offset) ^ (1 << bit), offset);
  return copy;
}

/** Says what was done to the store when its judgement fails. */
async function told<T>(what: string, judged: () => Promise<T>): Promise<T> {
  try {
    return await judged();
  } catch (error) {
    throw new Error(what, { cause: error });
  }
}
