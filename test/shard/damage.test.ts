import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exploreApart } from '../simulation/apart.ts';
import type { DamageCount } from './damage-explorations.ts';

const module = new URL('./damage-explorations.ts', import.meta.url);

describe('a damaged shard is refused, or answers right or corrupt: never wrong and never missing', () => {
  for (const [name, casesMin] of [['a bit of every byte flipped', 3000]] as const) {
    test(name, async (t) => {
      const count = await exploreApart<DamageCount>(module, name);
      t.diagnostic(JSON.stringify(count));
      assert.ok(count.cases >= casesMin && count.refused > 0, JSON.stringify(count));
    });
  }
});
