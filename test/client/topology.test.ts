import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import { topologyKey } from '../../src/protocol/names.ts';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import { parseTopology } from '../../src/protocol/topology.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import type { BareWorker } from './bare-worker.ts';
import { archive, assertFails, Fixture, until } from './client-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await Fixture.start();
});
afterEach(() => fixture.reset());
after(() => fixture.stop());

function keysOf(shard: number, shardCount: number, count = 1): readonly string[] {
  const keys: string[] = [];
  for (let index = 0; keys.length < count; index += 1) {
    if (shardOf(storedKeyOf(`k${index}`), shardCount) === shard) keys.push(`k${index}`);
  }
  return keys;
}

/** A key of this shard, by so many shards. */
function keyOf(shard: number, shardCount: number): string {
  const [key] = keysOf(shard, shardCount);
  return key ?? '';
}

function workers(count: number): Promise<readonly BareWorker[]> {
  return Promise.all(Array.from({ length: count }, (_, shard) => fixture.worker({ shard })));
}

async function textOf(client: Client, key: string): Promise<string | undefined> {
  return (await client.lookup(key))?.value.toString();
}

describe('a client of an archive that grows', () => {
  it('finds at once what another one has put to a shard that it had not heard of', async () => {
    await workers(4);
    await fixture.topology(1);
    const stale = await fixture.client();
    await fixture.topology(1, 4);
    const newer = await fixture.client();
    const key = keyOf(3, 4);
    const { records } = await newer.put({ key, value: 'new' });
    assert.equal(records[0]?.cursor.split(':')[0], '3');
    assert.equal(await textOf(stale, key), 'new');
    const byCursor = await (await fixture.client()).lookup({ cursor: records[0]?.cursor ?? '' });
    assert.equal(byCursor?.value.toString(), 'new');
  });

  it('reads a cursor of a shard that it had not heard of', async () => {
    await workers(4);
    await fixture.topology(1);
    const stale = await fixture.client();
    await fixture.topology(1, 4);
    const { records } = await (await fixture.client()).put({ key: keyOf(2, 4), value: 'new' });
    assert.equal((await stale.lookup({ cursor: records[0]?.cursor ?? '' }))?.value.toString(), 'new');
  });

  it('puts by the topology that it knows, where everybody finds it, and the newest version wins', async () => {
    const [first, , third] = await workers(4);
    await fixture.topology(1);
    const stale = await fixture.client();
    await fixture.topology(1, 4);
    const newer = await fixture.client();
    const key = keyOf(2, 4);
    await newer.put({ key, value: '1' });
    await stale.put({ key, value: '2' });
    assert.deepEqual([first?.kept.has(key), third?.kept.has(key)], [true, true]);
    for (const client of [stale, newer]) assert.equal(await textOf(client, key), '2');
    await newer.put({ key, value: '3' });
    for (const client of [stale, newer]) assert.equal(await textOf(client, key), '3');
  });

  it('goes by the newest topology after a while, and asks for it nowhere on the way of a put', async () => {
    const [, second] = await workers(2);
    const clock = new ManualClock(Date.now());
    await fixture.topology(1);
    const client = await fixture.client({}, { clock });
    await fixture.topology(1, 2);
    clock.advance(5000);
    const key = keyOf(1, 2);
    await until(async () => {
      await client.put({ key, value: 'x' });
      return second?.kept.has(key) === true;
    });
  });

  it('puts a stream without losing a record on the way', async () => {
    const all = await workers(4);
    await fixture.topology(1);
    const client = await fixture.client();
    async function* source(): AsyncGenerator<{ key: string; value: string }> {
      for (let index = 0; index < 400; index += 1) {
        if (index === 200) {
          await fixture.topology(1, 4);
          await client.topology();
        }
        yield { key: `k${index}`, value: `${index}` };
      }
    }
    const { recordCount } = await client.putMany(source(), { recordCountMax: 10 });
    assert.equal(recordCount, 400);
    assert.ok(all.every(({ kept }) => kept.size > 0));
    const answers = await client.lookupMany(Array.from({ length: 400 }, (_, index) => `k${index}`));
    assert.ok(answers.every((answer, index) => answer.outcome === 'found' && answer.value.toString() === `${index}`));
  });

  it('asks the removed shards still when it has shrunk, and puts nothing there', async () => {
    const all = await workers(4);
    await fixture.topology(4);
    const key = keyOf(3, 4);
    await (await fixture.client()).put({ key, value: 'old' });
    await fixture.topology(4, 2);
    const client = await fixture.client();
    assert.equal(await textOf(client, key), 'old');
    await client.put({ key, value: 'new' });
    assert.equal(all[3]?.puts.length, 1);
    assert.equal(await textOf(client, key), 'new');
  });

  it('does not forget a topology that Redis has forgotten', async () => {
    await workers(4);
    await fixture.topology(4);
    const client = await fixture.client();
    const key = keyOf(3, 4);
    await client.put({ key, value: 'x' });
    await fixture.redis.del(topologyKey(archive));
    assert.equal(await textOf(client, key), 'x');
  });
});

describe('a home that does not answer', () => {
  it('makes its keys unavailable, never missing, also where another home has a version', async () => {
    await fixture.worker({ shard: 0 });
    await fixture.topology(1);
    const early = await fixture.client();
    const [there, absent] = keysOf(1, 2, 2);
    const [own] = keysOf(0, 2);
    await early.put({ key: there ?? '', value: 'old' });
    await fixture.topology(1, 2);
    const client = await fixture.client();
    const answers = await client.lookupMany([there ?? '', own ?? '', absent ?? ''], { timeoutMs: 300 });
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      ['unavailable', 'missing', 'unavailable'],
    );
    const error = await assertFails('lookup-failed', client.lookup(there ?? '', { timeoutMs: 100 }));
    assert.match(error.message, /unavailable: shard 1: no answer within/);
    assert.equal(error.retriable, true);
  });

  it('fails the call when it is the only one', async () => {
    await fixture.worker({ shard: 0 });
    await fixture.topology(2);
    const client = await fixture.client();
    await assertFails('deadline', client.lookup(keyOf(1, 2), { timeoutMs: 100 }));
  });
});

describe('what one shard must decide', () => {
  it('is refused for a key of several homes, also by a client that had not heard of them', async () => {
    const [first] = await workers(2);
    await fixture.topology(1);
    const stale = await fixture.client();
    await fixture.topology(1, 2);
    const moved = keyOf(1, 2);
    for (const ifExists of ['skip-same', 'keep', 'reject'] as const) {
      const error = await assertFails('refused', stale.put({ key: moved, value: '' }, { ifExists }));
      assert.equal(error.details.reason, 'several-homes');
      const stream = stale.putMany([{ key: moved, value: '' }], { ifExists });
      assert.equal((await assertFails('refused', stream)).details.reason, 'several-homes');
    }
    assert.equal(first?.puts.length, 0);
    await stale.put({ key: keyOf(0, 2), value: '' }, { ifExists: 'reject' });
  });

  it('is refused for records of several shards when it is decided for all together', async () => {
    const all = await workers(2);
    await fixture.topology(2);
    const client = await fixture.client();
    const records = [0, 1].map((shard) => ({ key: keyOf(shard, 2), value: '' }));
    const error = await assertFails('several-shards', client.put(records, { ifExists: 'reject' }));
    assert.match(error.message, /2 shards/);
    assert.ok(all.every(({ puts }) => puts.length === 0));
    await client.put(records, { ifExists: 'keep' });
    assert.ok(all.every(({ puts }) => puts.length === 1));
  });
});

describe('an archive without a topology', () => {
  it('has one shard, which its first client makes known for good', async () => {
    await fixture.worker();
    const clients = await Promise.all([fixture.client(), fixture.client()]);
    const { generations } = parseTopology((await fixture.redis.get(topologyKey(archive))) ?? '');
    assert.deepEqual(
      generations.map(({ shards }) => shards),
      [1],
    );
    await clients[0]?.put({ key: 'a', value: '1' });
    assert.equal(await textOf(clients[1] ?? (await fixture.client()), 'a'), '1');
  });
});
