import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { silentLogger } from '../../src/base/logger.ts';
import { parseArchiveName, topologyKey } from '../../src/protocol/names.ts';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import { encodeTopology, oneShard, parseTopology, type Topology } from '../../src/protocol/topology.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { readTopology } from '../../src/queue/topology-store.ts';
import { topologyFile } from '../../src/service/topology-file.ts';
import { TopologyKeeper } from '../../src/service/topology-keeper.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

const archive = parseArchiveName('main');

function of(...counts: readonly number[]): Topology {
  return { generations: counts.map((shards, index) => ({ shards, time: index })) };
}

suite('the keeper of the topology', () => {
  let server: RedisServer;
  let redis: Redis;
  let dataDir: string;
  let clock: ManualClock;
  const keepers: TopologyKeeper[] = [];

  before(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'permafrost-topology-'));
    clock = new ManualClock();
  });
  afterEach(async () => {
    for (const keeper of keepers.splice(0)) keeper.stop();
    await redis.flushall();
    await rm(dataDir, { recursive: true });
  });

  async function start(): Promise<TopologyKeeper> {
    const log = new ThrottledLog(silentLogger, clock);
    const keeper = new TopologyKeeper(
      { archive, dataDir },
      { link: { connection: redis }, clock, logger: silentLogger, log },
    );
    keepers.push(keeper);
    await keeper.start();
    return keeper;
  }

  async function told(topology: Topology): Promise<void> {
    await redis.set(topologyKey(archive), JSON.stringify(encodeTopology(topology)));
  }

  async function copy(): Promise<Topology> {
    return parseTopology(await readFile(join(dataDir, topologyFile), 'utf8'));
  }

  test('shares a directory of data with the keepers of other workers that start at the same time', async () => {
    await told(of(1, 4));
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 8 }, () => start()));
      assert.deepEqual(await copy(), of(1, 4));
      assert.deepEqual(await readdir(dataDir), [topologyFile]);
      await rm(join(dataDir, topologyFile));
    }
  });

  test('copies what Redis says, and what it says later', async () => {
    await told(of(1));
    const keeper = await start();
    assert.deepEqual(await copy(), of(1));
    await told(of(1, 4));
    clock.advance(5000);
    await keeper.look();
    assert.deepEqual([await copy(), keeper.topology], [of(1, 4), of(1, 4)]);
  });

  test('tells a Redis that has forgotten it, at the start and later', async () => {
    await told(of(1, 4));
    (await start()).stop();
    await redis.flushall();
    const keeper = await start();
    assert.deepEqual((await readTopology(redis, archive))?.topology, of(1, 4));
    await redis.flushall();
    await keeper.look();
    assert.deepEqual((await readTopology(redis, archive))?.topology, of(1, 4));
  });

  test('continues what Redis has only begun to know again, and loses nothing of either', async () => {
    await told(of(4));
    const keeper = await start();
    await told(of(1));
    await keeper.look();
    assert.deepEqual(
      (await readTopology(redis, archive))?.topology.generations.map(({ shards }) => shards),
      [1, 4],
    );
    assert.equal((await copy()).generations.length, 2);
  });

  test('agrees with others that do the same at once', async () => {
    await told(of(1, 2, 4));
    const all = [await start(), await start(), await start()];
    await told(of(8));
    await Promise.all(all.map((keeper) => keeper.look()));
    await Promise.all(all.map((keeper) => keeper.look()));
    const agreed = (await readTopology(redis, archive))?.topology;
    assert.deepEqual(
      agreed?.generations.map(({ shards }) => shards),
      [8, 1, 2, 4],
    );
    for (const keeper of all) assert.deepEqual(keeper.topology, agreed);
  });

  test('decides nothing for an archive that has none', async () => {
    const keeper = await start();
    assert.deepEqual(keeper.topology, oneShard);
    assert.equal(await redis.exists(topologyKey(archive)), 0);
    await assert.rejects(copy(), { code: 'ENOENT' });
  });

  test('does not start on a copy, or a key in Redis, that cannot be read', async () => {
    await writeFile(join(dataDir, topologyFile), '{"v":1,');
    await assert.rejects(start(), { code: 'topology-unreadable', message: /topology\.json is no topology/ });
    await rm(join(dataDir, topologyFile));
    await redis.set(topologyKey(archive), '{"v":2}');
    await assert.rejects(start(), { code: 'topology-unreadable', message: /permafrost:\{main\}:topology is no/ });
  });

  test('knows which keys have several homes', async () => {
    await told(of(1, 2));
    const keeper = await start();
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'].map(storedKeyOf);
    for (const key of keys) assert.equal(keeper.hasSeveralHomes(key), shardOf(key, 2) === 1);
    assert.ok(keys.some((key) => keeper.hasSeveralHomes(key)));
  });
});
