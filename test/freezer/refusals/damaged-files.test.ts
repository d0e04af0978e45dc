/** Files that are shorter, longer, missing, exchanged or rotten. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileOf, judge, makeStore, type NamedStart, putsOf, startsOf, tampered } from '../hazards/small-store.ts';
import { flipped, sizesTellNothing, stores, told } from './stores.ts';

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

      test(`with any file cut, at and beside every border and in between, by ${way.name}`, async () => {
        for (const path of paths) {
          for (const size of lengthsOf(fileOf(store.files, path))) {
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

describe('a commit that went through several sections, none of which the mark covers', () => {
  test('is refused by roll-forward when one of them is gone or rotten: a crash takes only the last', async () => {
    const store = await makeStore([{ sync: putsOf(1) }, { commit: putsOf(2, 3, 4, 5, 6) }], { valueTargetSize: 1 });
    assert.equal(store.end.section, 5);
    const way: NamedStart = startsOf(store).find(({ name }) => name === 'roll-forward') ?? assert.fail();
    for (const section of [1, 2, 3, 4]) {
      for (const path of [`key/000000000000000${section}`, `value/000000000000000${section}`]) {
        const changes: readonly ((files: Map<string, Buffer>) => unknown)[] = [
          (files: Map<string, Buffer>) => files.delete(path),
          (files: Map<string, Buffer>) => files.set(path, flipped(fileOf(files, path), 12, 3)),
          (files: Map<string, Buffer>) => files.set(path, Buffer.alloc(8)),
        ];
        for (const change of changes) {
          const verdict = await told(path, () => judge(tampered(store, change), store.settings, way, 'right'));
          assert.equal(verdict.kind, 'refused', path);
        }
      }
    }
  });
});

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

/** Every short length, every length beside a border of a page, record, bucket or slot, and every fifth. */
function lengthsOf(bytes: Buffer): number[] {
  const isNear = (size: number, unit: number): boolean => (size - 8 + 1) % unit <= 2;
  return [...bytes.keys()].filter(
    (size) =>
      size <= 16 || size % 5 === 0 || size === bytes.length - 1 || [76, 64, 36, 29].some((unit) => isNear(size, unit)),
  );
}
