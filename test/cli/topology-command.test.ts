import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/base/clock.ts';
import type { Terminal } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { leaseKey, parseArchiveName, putQueueName, topologyKey } from '../../src/protocol/names.ts';
import { parseTopology } from '../../src/protocol/topology.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { recordedTerminal } from './manual-terminal.ts';

const archive = parseArchiveName('main');

suite('permafrost topology', () => {
  let server: RedisServer;
  let redis: Redis;

  before(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterEach(() => redis.flushall());
  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  function terminal(): Terminal & Pick<ReturnType<typeof recordedTerminal>, 'output' | 'notes'> {
    const environment = { PERMAFROST_REDIS_URL: server.url };
    return { ...recordedTerminal(), clock: systemClock, environment, interrupted: new AbortController().signal };
  }

  async function run(...words: readonly string[]): Promise<{ status: number; output: string; notes: string }> {
    const at = terminal();
    const status = await dispatch(['topology', ...words], commands, '0', at);
    return { status, output: at.output.text, notes: at.notes.text };
  }

  async function alive(...shards: readonly number[]): Promise<void> {
    for (const shard of shards) await redis.set(leaseKey(archive, shard), 'somebody');
  }

  async function counts(): Promise<readonly number[]> {
    const text = await redis.get(topologyKey(archive));
    return text === null ? [] : parseTopology(text).generations.map(({ shards }) => shards);
  }

  /** A put job has been here. */
  async function used(): Promise<void> {
    await redis.set(`permafrost:${putQueueName(archive, 0)}:id`, 1);
  }

  test('begins an archive that nothing was put to with the number that is given', async () => {
    await alive(0, 1, 2, 3);
    assert.match((await run('show')).output, /none was written yet/);
    const grown = await run('grow', '4');
    assert.deepEqual([grown.status, await counts()], [0, [4]]);
    assert.match(grown.output, /^Puts go to shards 0 to 3 from now on;/);
  });

  test('appends to what there is: one shard, if an archive that is in use has no topology yet', async () => {
    await used();
    await alive(0, 1);
    assert.equal((await run('grow', '2')).status, 0);
    assert.deepEqual(await counts(), [1, 2]);
    await alive(2, 3);
    assert.match((await run('grow', '4')).output, /shards 0 to 3 from now on \(before: 2\)/);
    assert.deepEqual(await counts(), [1, 2, 4]);
    const shrunk = await run('shrink', '1');
    assert.match(shrunk.output, /Puts go to shard 0 from now on.*workers of shards 1, 2, 3 must stay/);
    assert.deepEqual(await counts(), [1, 2, 4, 1]);
  });

  test('does not grow onto shards that have no live worker, unless it is told to', async () => {
    await used();
    await alive(0, 2);
    const refused = await run('grow', '4', '--json');
    assert.deepEqual([refused.status, await counts()], [1, []]);
    assert.match(refused.notes, /shards 1, 3 have no live worker/);
    assert.partialDeepStrictEqual(JSON.parse(refused.output), { outcome: 'refused', puts: 1 });
    assert.equal((await run('grow', '4', '--force')).status, 0);
    assert.deepEqual(await counts(), [1, 4]);
  });

  test('waits for workers as long as it is told to', async () => {
    await used();
    const { promise: waits, resolve } = Promise.withResolvers<void>();
    const growing = dispatch(['topology', 'grow', '2', '--wait', '60'], commands, '0', {
      ...terminal(),
      notes: {
        write(text) {
          if (String(text) === 'waiting for workers of shard 1\n') resolve();
          return true;
        },
      },
    });
    await waits;
    await alive(1);
    assert.equal(await growing, 0);
    assert.deepEqual(await counts(), [1, 2]);
  });

  test('changes nothing that is so already, and nothing by the wrong word', async () => {
    await alive(0, 1, 2, 3);
    await run('grow', '4');
    const again = await run('grow', '4', '--json');
    assert.equal(again.status, 0);
    assert.partialDeepStrictEqual(JSON.parse(again.output), { outcome: 'unchanged', puts: 4 });
    assert.equal((await run('grow', '2')).status, 1);
    assert.equal((await run('shrink', '5')).status, 1);
    assert.deepEqual(await counts(), [4]);
  });

  test('of two at once each is appended to what the other has left', async () => {
    await used();
    await alive(0, 1, 2);
    const both = await Promise.all([run('grow', '2'), run('grow', '3')]);
    const found = await counts();
    assert.ok(both.some(({ status }) => status === 0));
    assert.equal(found.at(-1), 3);
    assert.equal(found[0], 1);
  });

  test('shows generations and shards, for people and for machines', async () => {
    await used();
    await alive(0, 1);
    await run('grow', '2');
    await redis.del(leaseKey(archive, 1));
    const { output } = await run('show');
    assert.match(output, /^ {2}1 {2}1 shard\n {2}2 {2}2 shards, since 20/m);
    assert.match(output, /^ {2}0 +puts, lookups +alive +- +- +0$/m);
    assert.match(output, /^ {2}1 +puts, lookups +NONE/m);
    const told = JSON.parse((await run('show', '--json')).output);
    assert.deepEqual(told.shards[1], { shard: 1, takesPuts: true, isLive: false, waitingPuts: 0 });
    assert.equal(told.generations.length, 2);
  });

  test('says what is wrong with a command line before it connects to anything', async () => {
    for (const words of [[], ['widen'], ['grow'], ['grow', '0'], ['grow', 'four'], ['shrink', '5000'], ['show', '2']]) {
      assert.equal((await run(...words)).status, 2, words.join(' '));
    }
  });
});
