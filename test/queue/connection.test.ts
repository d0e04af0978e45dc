import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { awaitReady, dropConnection, openConnection, shownUrl } from '../../src/queue/connection.ts';
import { readRedisFacts, redisWarnings } from '../../src/queue/redis-check.ts';
import { startRedis } from '../redis/redis-server.ts';

const plain = { username: '', password: '', tlsCaFile: '' };

suite('connection', () => {
  test('says where no Redis is, without the password', async () => {
    const url = 'redis://user:secret@127.0.0.1:1/0';
    const redis = openConnection({ ...plain, url }, 'test');
    try {
      await assert.rejects(awaitReady(redis, url, 300), (error: Error) => {
        assert.match(
          error.message,
          /^no Redis at redis:\/\/user:\*\*\*@127\.0\.0\.1:1\/0 within 300 ms: .*ECONNREFUSED/,
        );
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    } finally {
      dropConnection(redis);
    }
  });

  test('gives up at once when Redis refuses the password', async () => {
    const server = await startRedis({ args: ['--requirepass', 'right'] });
    const redis = openConnection({ ...plain, url: server.url, password: 'wrong' }, 'test');
    try {
      await assert.rejects(awaitReady(redis, server.url, 60_000), { code: 'redis-refused' });
    } finally {
      dropConnection(redis);
      await server.stop();
    }
  });

  test('comes back by itself after Redis was gone', async () => {
    const server = await startRedis();
    const redis = openConnection({ ...plain, url: server.url }, 'test');
    redis.on('error', () => {});
    await awaitReady(redis, server.url, 5000);
    const lost = once(redis, 'close');
    await server.kill();
    await lost;
    const answer = redis.ping();
    await server.restart();
    assert.equal(await answer, 'PONG');
    dropConnection(redis);
    await server.stop();
  });

  test('shows a URL without its password', () => {
    assert.equal(shownUrl('rediss://a:b@host:1/2'), 'rediss://a:***@host:1/2');
    assert.equal(shownUrl('redis://host:1'), 'redis://host:1');
  });
});

suite('redis check', () => {
  test('finds nothing wrong with a Redis as it should be', async () => {
    const server = await startRedis();
    const redis = openConnection({ ...plain, url: server.url }, 'test');
    const facts = await readRedisFacts(redis);
    assert.deepEqual(redisWarnings(facts), []);
    assert.match(facts.runId, /^[0-9a-f]{40}$/);
    dropConnection(redis);
    await server.stop();
  });

  test('warns of a Redis that may evict jobs or forgets them at a restart', async () => {
    const server = await startRedis({ appendOnly: 'no', evictionPolicy: 'allkeys-lru' });
    const redis = openConnection({ ...plain, url: server.url }, 'test');
    const codes = redisWarnings(await readRedisFacts(redis)).map(({ code }) => code);
    assert.deepEqual(codes, ['may-evict', 'no-append-only-file']);
    dropConnection(redis);
    await server.stop();
  });

  test('warns of an old version', () => {
    const facts = { runId: '', memoryBytesMax: 0, memoryBytesUsed: 0, evictionPolicy: 'noeviction', appendOnly: true };
    assert.equal(redisWarnings({ ...facts, version: '6.0.16' })[0]?.code, 'old-version');
    assert.deepEqual(redisWarnings({ ...facts, version: '10.1.0' }), []);
  });
});
