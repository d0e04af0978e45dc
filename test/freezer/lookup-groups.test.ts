import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import { DiskError } from '../../src/disk/disk-error.ts';
import type { Identifier, Lookup } from '../../src/freezer/lookup.ts';
import { LookupGroups } from '../../src/freezer/lookup-groups.ts';

const named = (name: string): Identifier => ({ key: Buffer.from(name) });
const nameOf = (identifier: Identifier): string => ('key' in identifier ? Buffer.from(identifier.key).toString() : '');

/** Groups over a lookup that finds each name's own text, and fails as a whole when a broken one is among them. */
function groups(calls: number[]): LookupGroups<string> {
  return new LookupGroups(async (identifiers) => {
    calls.push(identifiers.length);
    if (identifiers.some((identifier) => nameOf(identifier) === 'broken'))
      throw new DiskError('disk-failed', 'EIO on purpose');
    if (identifiers.some((identifier) => nameOf(identifier) === 'mistaken')) throw new AssertionFailure('on purpose');
    const cursor = { section: 0, offset: 0, size: 4 };
    return identifiers.map((identifier): Lookup<string> => ({ kind: 'found', value: nameOf(identifier), cursor }));
  });
}

const textOf = (lookup: Lookup<string>): string => (lookup.kind === 'found' ? lookup.value : lookup.kind);

function lookupAll(desk: LookupGroups<string>, names: readonly string[]): Promise<Lookup<string>[]> {
  return Promise.all(names.map((name) => desk.lookup(named(name))));
}

describe('lookups in groups', () => {
  test('of one turn are looked up together, and each gets its own', async () => {
    const calls: number[] = [];
    assert.deepEqual((await lookupAll(groups(calls), ['a', 'b', 'c'])).map(textOf), ['a', 'b', 'c']);
    assert.deepEqual(calls, [3]);
  });

  test('that are very many go in several, in their order', async () => {
    const calls: number[] = [];
    const names = Array.from({ length: 100 }, (_, index) => `key${index}`);
    assert.deepEqual((await lookupAll(groups(calls), names)).map(textOf), names);
    assert.deepEqual(calls, [32, 32, 32, 4]);
  });

  test('do not fail because the disk failed that of another caller, together or alone', async () => {
    const desk = groups([]);
    const outcomes = await lookupAll(desk, ['a', 'broken', 'b']);
    assert.deepEqual(outcomes.map(textOf), ['a', 'failed', 'b']);
    const alone = await desk.lookup(named('broken'));
    assert.ok(alone.kind === 'failed' && alone.error instanceof DiskError && alone.error.code === 'disk-failed');
  });

  test('fail with an error that is no disk, whoever asked', async () => {
    await assert.rejects(lookupAll(groups([]), ['a', 'mistaken']), AssertionFailure);
  });
});
