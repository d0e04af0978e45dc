import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { startRedis } from './redis-server.ts';

describe('the Redis server for tests', () => {
  it('keeps its data over SIGKILL and restart, and leaves nothing behind when stopped', async () => {
    const server = await startRedis({ appendOnly: 'always' });
    const redis = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    redis.on('error', () => {});
    try {
      await redis.set('kept', 'yes');
      await server.kill();
      await server.restart();
      assert.equal(await redis.get('kept'), 'yes');
      const [, directory] = (await redis.config('GET', 'dir')) as string[];
      await server.stop();
      assert.equal(existsSync(directory ?? ''), false);
    } finally {
      redis.disconnect();
      await server.stop();
    }
  });

  it('runs several servers side by side', async () => {
    const servers = await Promise.all([startRedis(), startRedis({ appendOnly: 'no' })]);
    assert.notEqual(servers[0].port, servers[1].port);
    await Promise.all(servers.map((server) => server.stop()));
  });
});
