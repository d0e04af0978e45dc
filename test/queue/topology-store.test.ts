import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { parseArchiveName, topologyKey } from '../../src/protocol/names.ts';
import { oneShard, withGeneration } from '../../src/protocol/topology.ts';
import { readTopology, replaceTopology } from '../../src/queue/topology-store.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';

const archive = parseArchiveName('main');
const two = withGeneration(oneShard, { shards: 2, time: 5 });

suite('the topology in Redis', () => {
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

  test('is there when it was put there, and not before', async () => {
    assert.equal(await readTopology(redis, archive), undefined);
    assert.equal(await replaceTopology(redis, archive, undefined, two), true);
    assert.deepEqual((await readTopology(redis, archive))?.topology, two);
  });

  test('is replaced only by who has seen it: of two at once one succeeds', async () => {
    await replaceTopology(redis, archive, undefined, oneShard);
    assert.equal(await replaceTopology(redis, archive, undefined, two), false);
    const seen = await readTopology(redis, archive);
    const three = withGeneration(two, { shards: 3, time: 6 });
    const both = await Promise.all([two, three].map((next) => replaceTopology(redis, archive, seen, next)));
    assert.deepEqual(both, [true, false]);
    assert.deepEqual((await readTopology(redis, archive))?.topology, two);
  });

  test('is not guessed at when it cannot be read', async () => {
    await redis.set(topologyKey(archive), '{"v":1,"generations":[]}');
    await assert.rejects(readTopology(redis, archive), { code: 'invalid-field' });
  });
});
