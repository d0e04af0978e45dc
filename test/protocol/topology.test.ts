import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import * as topology from '../../src/protocol/topology.ts';
import { assertRefused } from './protocol-assert.ts';

function of(...counts: readonly number[]): topology.Topology {
  return { generations: counts.map((shards, index) => ({ shards, time: index })) };
}

function countsOf({ generations }: topology.Topology): readonly number[] {
  return generations.map(({ shards }) => shards);
}

const counts = fc.array(fc.integer({ min: 1, max: 4096 }), { minLength: 1, maxLength: 8 });
const key = fc.string({ unit: 'grapheme' }).map(storedKeyOf);

describe('the homes of a key', () => {
  it('are its shards over all generations, each once, the one that it is put to first', () => {
    fc.assert(
      fc.property(counts, key, (all, storedKey) => {
        const homes = topology.homesOf(of(...all), storedKey);
        assert.deepEqual(new Set(homes), new Set(all.map((count) => shardOf(storedKey, count))));
        assert.equal(new Set(homes).size, homes.length);
        assert.equal(homes[0], shardOf(storedKey, topology.shardCountOf(of(...all))));
        for (const home of homes) assert.ok(home < topology.knownShardCountOf(of(...all)));
      }),
    );
  });

  it('are still homes, whatever generations follow: who knows fewer of them puts where everybody looks', () => {
    fc.assert(
      fc.property(counts, counts, key, (first, rest, storedKey) => {
        const newer = topology.homesOf(of(...first, ...rest), storedKey);
        for (let known = 1; known <= first.length; known += 1) {
          const [put] = topology.homesOf(of(...first.slice(0, known)), storedKey);
          assert.ok(put !== undefined && newer.includes(put));
        }
      }),
    );
  });

  it('are one, as long as there is one generation', () => {
    assert.deepEqual(topology.homesOf(topology.oneShard, storedKeyOf('any')), [0]);
    assert.equal(topology.homesOf(of(4096), storedKeyOf('any')).length, 1);
  });
});

describe('two topologies', () => {
  it('are joined without losing a home of either, and the longer one wins that continues the other', () => {
    fc.assert(
      fc.property(counts, counts, key, (left, right, storedKey) => {
        const joined = topology.joined(of(...left), of(...right));
        const homes = topology.homesOf(joined, storedKey);
        for (const one of [left, right])
          for (const home of topology.homesOf(of(...one), storedKey)) assert.ok(homes.includes(home));
        assert.deepEqual(topology.joined(joined, of(...right)), joined, 'told again it adds nothing');
        assert.deepEqual(topology.joined(of(...right), joined), joined);
        assert.deepEqual(countsOf(topology.joined(of(...left), of(...left, ...right))), [...left, ...right]);
      }),
    );
  });

  it('that differ keep the order of what was there, and ours is the newest', () => {
    assert.deepEqual(countsOf(topology.joined(of(4), of(1))), [1, 4]);
    assert.deepEqual(countsOf(topology.joined(of(1, 4, 8), of(1, 2))), [1, 2, 4, 8]);
    assert.deepEqual(countsOf(topology.joined(of(1), of(1, 2))), [1, 2]);
    const later = { generations: [{ shards: 1, time: 9 }] };
    assert.deepEqual(topology.joined(of(1, 4), later), of(1, 4), 'when a generation began is for people');
  });
});

describe('a topology as text', () => {
  it('survives', () => {
    fc.assert(
      fc.property(counts, (all) => {
        const text = JSON.stringify(topology.encodeTopology(of(...all)));
        assert.deepEqual(topology.parseTopology(text), of(...all));
      }),
    );
  });

  it('is refused where it cannot be one', () => {
    const generation = { shards: 1, time: 0 };
    assertRefused('malformed-json', 'topology', () => topology.parseTopology('{'));
    for (const [code, field, value] of [
      ['missing-field', 'v', { generations: [generation] }],
      ['unsupported-version', 'v', { v: 2, generations: [generation] }],
      ['missing-field', 'generations', { v: 1 }],
      ['invalid-field', 'generations', { v: 1, generations: [] }],
      ['invalid-field', 'generations[0]', { v: 1, generations: [4] }],
      ['missing-field', 'generations[0].shards', { v: 1, generations: [{ time: 0 }] }],
      ['invalid-field', 'generations[1].shards', { v: 1, generations: [generation, { shards: 0, time: 0 }] }],
      ['invalid-field', 'generations[0].shards', { v: 1, generations: [{ shards: 4097, time: 0 }] }],
      ['invalid-field', 'generations[0].time', { v: 1, generations: [{ shards: 1, time: -1 }] }],
      [
        'limit-exceeded',
        'generations',
        { v: 1, generations: new Array(topology.generationCountMax + 1).fill(generation) },
      ],
    ] as const) {
      assertRefused(code, field, () => topology.decodeTopology(value));
    }
  });

  it('takes one generation more, as long as there is room', () => {
    const longer = topology.withGeneration(of(1, 2), { shards: 8, time: 5 });
    assert.deepEqual(longer.generations.at(-1), { shards: 8, time: 5 });
    assert.ok(topology.continues(longer, of(1, 2)) && !topology.continues(of(1, 2), longer));
    const full = of(...new Array<number>(topology.generationCountMax).fill(1));
    assertRefused('limit-exceeded', 'generations', () => topology.withGeneration(full, { shards: 2, time: 0 }));
  });
});
