import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { type ArchiveJobsOptions, archiveFinishedJobs } from '../../src/jobs/archive-finished-jobs.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../redis/redis-server.ts';
import { ArchiveSite } from './archive-site.ts';

suite('a queue whose Redis, not the archive’s, is in trouble', () => {
  let site: ArchiveSite;
  let server: RedisServer;
  let redis: Redis;
  before(async () => {
    site = await ArchiveSite.start();
  });
  after(() => site.stop());
  afterEach(async () => {
    redis.disconnect();
    await server.stop();
  });

  /** A Redis of its own with so many finished jobs of about a kilobyte. */
  async function finished(queue: string, count: number, options: RedisOptions = {}): Promise<readonly string[]> {
    server = await startRedis(options);
    redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    redis.on('error', () => {});
    const ids = Array.from({ length: count }, (_, n) => `${n}`);
    const data = JSON.stringify({ text: 'x'.repeat(1000) });
    for (const id of ids) {
      await redis.hset(`bull:${queue}:${id}`, { name: 'work', data, timestamp: '1', finishedOn: id });
      await redis.zadd(`bull:${queue}:completed`, id, id);
    }
    return ids;
  }

  function archive(queue: string, options: Partial<ArchiveJobsOptions> = {}) {
    return archiveFinishedJobs({ queue, redis: server.url, client: site.client, marginMs: 0, ...options });
  }

  test('is emptied although its Redis has no memory left', async () => {
    await finished('full', 300);
    await redis.config('SET', 'maxmemory', '1mb');
    await assert.rejects(redis.set('another', 'key'), /OOM/);
    assert.partialDeepStrictEqual(await archive('full'), { archivedCount: 300, removedCount: 300 });
  });

  test('is archived to its end over a restart of its Redis', async () => {
    const ids = await finished('restart', 300, { appendOnly: 'always' });
    let restarted: Promise<void> | undefined;
    const onProgress: ArchiveJobsOptions['onProgress'] = ({ removedCount }) => {
      if (removedCount > 50) restarted ??= server.restart();
    };
    const { removedCount, stays } = await archive('restart', { pageCount: 20, onProgress });
    assert.ok(restarted !== undefined);
    await restarted;
    // A removal whose answer was lost is asked for again, and finds the job gone.
    assert.equal(removedCount + stays.gone, 300);
    assert.equal(await redis.zcard('bull:restart:completed'), 0);
    const found = await Promise.all(ids.map((id) => site.archived(`bull:bull:restart:${id}:${id}`)));
    assert.ok(found.every((document) => document !== undefined));
  });

  test('fails by name when its Redis refuses writes', async () => {
    await finished('read-only', 3);
    await redis.replicaof('127.0.0.1', '1');
    await assert.rejects(archive('read-only'), { code: 'queue-redis', message: /READONLY/ });
    assert.equal(await redis.zcard('bull:read-only:completed'), 3);
  });

  test('fails by name when there is no Redis', async () => {
    await finished('nowhere', 1);
    await server.kill();
    await assert.rejects(archive('nowhere', { connectTimeoutMs: 300 }), {
      code: 'queue-redis',
      message: /ECONNREFUSED/,
    });
    await server.restart();
  });
});
