import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { replyListCountMax, replyListTtlMs } from '../../src/protocol/lifetimes.ts';
import {
  heartbeatKey,
  parseArchiveName,
  parseClientId,
  queuePrefix,
  replyListKey,
  replyQueueName,
} from '../../src/protocol/names.ts';
import type { ReplyTo } from '../../src/protocol/reply-address.ts';
import { silentObserver } from '../../src/queue/queue-observer.ts';
import { ReplySender } from '../../src/queue/reply-sender.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';

const archive = parseArchiveName('main');

suite('reply sender', () => {
  let server: RedisServer;
  let redis: Redis;
  let sender: ReplySender;
  let dropped: [string, number][];

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    dropped = [];
    const observer = {
      ...silentObserver,
      replyDropped: (reason: string, count: number) => dropped.push([reason, count]),
    };
    const log = new ThrottledLog(silentLogger, systemClock);
    const deps = { connection: redis, clock: systemClock, log, observer };
    sender = new ReplySender({ archive, openQueuesMax: 2, eventsMax: 10 }, deps);
  });
  afterEach(async () => {
    await sender.close();
    await redis.flushall();
    redis.disconnect();
  });

  const clientNamed = (name: string): ReplyTo => ({ kind: 'client', client: parseClientId(name) });
  const list: ReplyTo = { kind: 'list', list: parseClientId('l1') };
  const listKey = replyListKey(archive, parseClientId('l1'));

  test('pushes to a list that expires by itself', async () => {
    assert.equal(await sender.send(list, { name: 'reply', messages: [{ a: 1 }, { b: 2 }] }, 1000), true);
    assert.deepEqual(await redis.lrange(listKey, 0, -1), ['{"a":1}', '{"b":2}']);
    const ttlMs = await redis.pttl(listKey);
    assert.ok(ttlMs > 0 && ttlMs <= replyListTtlMs);
  });

  test('delivers a message that is JSON already as it is', async () => {
    const text = JSON.stringify({ key: 'Straße "17"\n', list: [1, null] });
    await redis.set(heartbeatKey(archive, parseClientId('c')), '1');
    for (const where of [list, clientNamed('c')])
      assert.equal(
        await sender.send(where, { name: 'reply', messages: [Buffer.from(text), { other: 1 }] }, 1000),
        true,
      );
    assert.deepEqual(await redis.lrange(listKey, 0, -1), [text, '{"other":1}']);
    const queueKey = `${queuePrefix}:${replyQueueName(archive, parseClientId('c'))}`;
    const sent = await Promise.all(['1', '2'].map((id) => redis.hget(`${queueKey}:${id}`, 'data')));
    assert.deepEqual(sent, [text, '{"other":1}']);
  });

  test('drops what no longer fits into a list, and counts it', async () => {
    await redis.rpush(listKey, ...Array.from({ length: replyListCountMax - 1 }, () => 'x'));
    assert.equal(await sender.send(list, { name: 'reply', messages: [{}, {}] }, 1000), false);
    assert.deepEqual(dropped, [['list-full', 2]]);
    assert.equal(await sender.send(list, { name: 'reply', messages: [{}] }, 1000), true);
    assert.equal(await redis.llen(listKey), replyListCountMax);
  });

  test('serves more clients than it keeps queues open', async () => {
    for (const name of ['a', 'b', 'c', 'a']) {
      await redis.set(heartbeatKey(archive, parseClientId(name)), '1');
      assert.equal(await sender.send(clientNamed(name), { name: 'reply', messages: [{ name }] }, 1000), true);
    }
    assert.equal(await redis.llen('permafrost:{main-reply-a}:wait'), 2);
    assert.equal(await redis.hget('permafrost:{main-reply-c}:meta', 'opts.maxLenEvents'), '10');
  });

  test('makes no queue for a client that is dead', async () => {
    assert.equal(await sender.send(clientNamed('dead'), { name: 'reply', messages: [{}] }, 1000), false);
    assert.deepEqual(dropped, [['dead-client', 1]]);
    assert.deepEqual(await redis.keys('*'), []);
  });

  test('gives up after its time when Redis takes no replies', async () => {
    await redis.config('SET', 'maxmemory', '1');
    assert.equal(await sender.send(list, { name: 'reply', messages: [{}] }, 50), false);
    assert.deepEqual(dropped, [['undeliverable', 1]]);
    await redis.config('SET', 'maxmemory', '0');
  });
});
