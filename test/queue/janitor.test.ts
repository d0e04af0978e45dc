import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { silentLogger } from '../../src/base/logger.ts';
import {
  heartbeatKey,
  parseArchiveName,
  parseClientId,
  queuePrefix,
  replyQueueName,
} from '../../src/protocol/names.ts';
import { Janitor } from '../../src/queue/janitor.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

const archive = parseArchiveName('main');
const silenceMaxMs = 600_000;

suite('janitor', () => {
  let server: RedisServer;
  let redis: Redis;
  let clock: ManualClock;
  let janitor: Janitor;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    clock = new ManualClock();
    const log = new ThrottledLog(silentLogger, clock);
    const deps = { connection: redis, clock, logger: silentLogger, log };
    janitor = new Janitor({ archive, intervalMs: 60_000, silenceMaxMs }, deps);
  });
  afterEach(async () => {
    janitor.stop();
    await redis.flushall();
    redis.disconnect();
  });

  async function reply(client: string): Promise<void> {
    const queue = new Queue(replyQueueName(archive, parseClientId(client)), { connection: redis, prefix: queuePrefix });
    await queue.add('reply', { v: 1 });
    await queue.close();
  }

  test('removes the queue of a client that has been silent for the whole time, and all of it', async () => {
    await reply('dead');
    assert.equal(await janitor.sweep(), 0);
    clock.advance(silenceMaxMs - 1);
    assert.equal(await janitor.sweep(), 0);
    clock.advance(1);
    assert.equal(await janitor.sweep(), 1);
    assert.deepEqual(await redis.keys('*'), []);
    assert.equal(await janitor.sweep(), 0);
  });

  test('leaves a client that lives, and begins anew with one that was silent and came back', async () => {
    await reply('living');
    await janitor.sweep();
    clock.advance(silenceMaxMs);
    await redis.set(heartbeatKey(archive, parseClientId('living')), '1');
    assert.equal(await janitor.sweep(), 0);
    await redis.del(heartbeatKey(archive, parseClientId('living')));
    assert.equal(await janitor.sweep(), 0);
    clock.advance(silenceMaxMs);
    assert.equal(await janitor.sweep(), 1);
  });

  test('leaves the queues of other archives and everything else alone', async () => {
    const other = new Queue('{other-reply-dead}', { connection: redis, prefix: queuePrefix });
    await other.add('reply', {});
    await other.close();
    await redis.set('somebody:meta', 'else');
    const before = (await redis.keys('*')).length;
    await janitor.sweep();
    clock.advance(silenceMaxMs);
    assert.equal(await janitor.sweep(), 0);
    assert.equal((await redis.keys('*')).length, before);
  });
});
