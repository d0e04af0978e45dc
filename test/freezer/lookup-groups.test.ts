import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DiskError } from '../../src/disk/disk-error.ts';
import type { Identifier, Lookup } from '../../src/freezer/lookup.ts';
import { LookupGroups } from '../../src/freezer/lookup-groups.ts';

const named = (name: string): Identifier => ({ key: Buffer.from(name) });
const nameOf = (identifier: Identifier): string => ('key' in identifier ? Buffer.from(identifier.key).toString() : '');

/** Groups over a lookup that finds each name's own text, and fails as a whole when `broken` is among them. */
function groups(calls: number[]): LookupGroups<string> {
  return new LookupGroups(async (identifiers) => {
    calls.push(identifiers.length);
    if (identifiers.some((identifier) => nameOf(identifier) === 'broken'))
      throw new DiskError('disk-failed', 'EIO on purpose');
    const cursor = { section: 0, offset: 0, size: 4 };
    return identifiers.map((identifier): Lookup<string> => ({ kind: 'found', value: nameOf(identifier), cursor }));
  });
}

const textOf = (lookup: Lookup<string>): string => (lookup.kind === 'found' ? lookup.value : lookup.kind);

describe('lookups in groups', () => {
  test('of one turn are looked up together, and each gets its own', async () => {
    const calls: number[] = [];
    const desk = groups(calls);
    const [one, many, two] = await Promise.all([
      desk.lookup(named('a')),
      desk.lookupMany(['b', 'c'].map(named)),
      desk.lookup(named('d')),
    ]);
    assert.deepEqual([one, ...many, two].map(textOf), ['a', 'b', 'c', 'd']);
    assert.deepEqual(calls, [4]);
  });

  test('of a caller who asks for many go in several, in their order', async () => {
    const calls: number[] = [];
    const names = Array.from({ length: 100 }, (_, index) => `key${index}`);
    assert.deepEqual((await groups(calls).lookupMany(names.map(named))).map(textOf), names);
    assert.deepEqual(calls, [25, 25, 25, 25]);
  });

  test('do not fail because the disk failed that of another caller', async () => {
    const desk = groups([]);
    const lookups = ['a', 'broken', 'b'].map((name) => desk.lookup(named(name)));
    assert.deepEqual((await Promise.all(lookups)).map(textOf), ['a', 'failed', 'b']);
    await assert.rejects(desk.lookup(named('broken')), { code: 'disk-failed' });
  });
});
