import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { CheckpointNotice } from '../../src/protocol/checkpoint-notice.ts';
import { leaseRenewalMs, leaseTtlMs } from '../../src/protocol/lifetimes.ts';
import { checkpointKey, checkpointsKey, leaseKey, parseArchiveName } from '../../src/protocol/names.ts';
import { CheckpointPublisher, readPublished } from '../../src/queue/checkpoint-publisher.ts';
import { dropConnection, openConnection, type RedisConnection } from '../../src/queue/connection.ts';
import { silentObserver } from '../../src/queue/queue-observer.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

const archive = parseArchiveName('main');

function notice(epoch: number, instance = 'volume-1'): CheckpointNotice {
  const checkpoint = Buffer.alloc(28);
  checkpoint.writeBigUInt64BE(BigInt(epoch));
  return { instance, epoch, checkpoint, commit: epoch * 10, records: epoch * 100, time: 1_700_000_000_000 };
}

suite('checkpoint publisher', () => {
  let server: RedisServer;
  let redis: Redis;
  const opened: RedisConnection[] = [];

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    redis.on('error', () => {});
  });
  afterEach(async () => {
    await redis.flushall();
    redis.disconnect();
    for (const connection of opened.splice(0)) dropConnection(connection);
  });

  /** A publisher, and the epochs that it has published. */
  function publisher(
    owner: string,
    clock: Clock = systemClock,
  ): { publisher: CheckpointPublisher; published(epoch: number): Promise<void> } {
    const connection = openConnection({ url: server.url, username: '', password: '', tlsCaFile: '' }, owner);
    connection.on('error', () => {});
    opened.push(connection);
    const waiting = new Map<number, PromiseWithResolvers<void>>();
    const waitFor = (epoch: number): PromiseWithResolvers<void> => {
      const found = waiting.get(epoch) ?? Promise.withResolvers<void>();
      waiting.set(epoch, found);
      return found;
    };
    const observer = { ...silentObserver, checkpointPublished: (epoch: number) => waitFor(epoch).resolve() };
    const log = new ThrottledLog(silentLogger, systemClock);
    const deps = { connection, clock, logger: silentLogger, log, observer };
    return {
      publisher: new CheckpointPublisher({ archive, shard: 0, owner }, deps),
      published: (epoch) => waitFor(epoch).promise,
    };
  }

  test('publishes what it is given, once it has the lease, with its history', async () => {
    const one = publisher('one');
    one.publisher.setRedisRun('run-1');
    one.publisher.publish(notice(1));
    assert.equal(await redis.exists(checkpointKey(archive, 0)), 0);
    await one.publisher.takeLease({ replace: false });
    await one.published(1);
    one.publisher.publish(notice(2));
    await one.published(2);
    assert.deepEqual(await readPublished(redis, archive, 0), { notice: notice(2), redisRunId: 'run-1' });
    assert.equal(await redis.xlen(checkpointsKey(archive, 0)), 2);
  });

  test('keeps the newest notice that it was given, in whatever order they come', async () => {
    const { publisher: late, published } = publisher('one');
    for (const epoch of [5, 3]) late.publish(notice(epoch));
    await late.takeLease({ replace: false });
    await Promise.race([published(5), published(3)]);
    assert.equal(late.publishedEpoch, 5);
    await late.close(1000);
  });

  test('reads nothing where nothing is published', async () => {
    assert.deepEqual(await readPublished(redis, archive, 0), { notice: undefined, redisRunId: undefined });
  });

  test('is fenced when a worker that started later has taken the lease', async () => {
    const old = publisher('old');
    await old.publisher.takeLease({ replace: false });
    old.publisher.publish(notice(1));
    await old.published(1);
    const young = publisher('young');
    await young.publisher.takeLease({ replace: false });
    young.publisher.publish(notice(2));
    await young.published(2);
    old.publisher.publish(notice(3));
    assert.equal(await old.publisher.fenced, 'another worker took the shard over');
    old.publisher.publish(notice(4));
    assert.equal(await old.publisher.close(1000), true);
    assert.equal((await readPublished(redis, archive, 0)).notice?.epoch, 2);
  });

  test('is fenced with nothing to publish, when its lease comes to be renewed', async () => {
    const clock = new ManualClock();
    const old = publisher('old', clock);
    await old.publisher.takeLease({ replace: false });
    await publisher('young').publisher.takeLease({ replace: false });
    clock.advance(leaseRenewalMs);
    assert.equal(await old.publisher.fenced, 'another worker took the shard over');
    assert.equal(await old.publisher.close(1000), true);
    assert.equal(await redis.get(leaseKey(archive, 0)), 'young', 'what it lost it does not take away');
  });

  test('renews its lease as long as it lives, and gives it back at the end', async () => {
    const clock = new ManualClock();
    const one = publisher('one', clock);
    await one.publisher.takeLease({ replace: false });
    const key = leaseKey(archive, 0);
    assert.ok((await redis.pttl(key)) > leaseTtlMs - 5000);
    await redis.pexpire(key, 1000);
    clock.advance(leaseRenewalMs);
    while ((await redis.pttl(key)) < leaseTtlMs - 5000);
    await redis.del(key);
    clock.advance(leaseRenewalMs);
    while ((await redis.get(key)) !== 'one');
    await one.publisher.close(1000);
    assert.equal(await redis.exists(key), 0);
    assert.equal(clock.pendingTimers, 0);
  });

  test('never replaces a newer checkpoint by an older one', async () => {
    const one = publisher('one');
    await one.publisher.takeLease({ replace: false });
    one.publisher.publish(notice(5));
    await one.published(5);
    const two = publisher('two');
    await two.publisher.takeLease({ replace: false });
    two.publisher.publish(notice(4));
    assert.match(await two.publisher.fenced, /a newer checkpoint/);
    assert.equal((await readPublished(redis, archive, 0)).notice?.epoch, 5);
  });

  test('does not publish over another volume, unless the operator trusts this one', async () => {
    const one = publisher('one');
    await one.publisher.takeLease({ replace: false });
    one.publisher.publish(notice(5, 'volume-1'));
    await one.published(5);
    const other = publisher('other');
    await other.publisher.takeLease({ replace: false });
    other.publisher.publish(notice(6, 'volume-2'));
    await other.publisher.fenced;
    const trusted = publisher('trusted');
    await trusted.publisher.takeLease({ replace: true });
    trusted.publisher.publish(notice(1, 'volume-2'));
    await trusted.published(1);
    assert.equal((await readPublished(redis, archive, 0)).notice?.instance, 'volume-2');
  });

  test('publishes the newest notice when Redis comes back, and holds nobody up before', async () => {
    const one = publisher('one');
    await one.publisher.takeLease({ replace: false });
    const lost = once(redis, 'close');
    await server.kill();
    await lost;
    for (const epoch of [1, 2, 3]) one.publisher.publish(notice(epoch));
    assert.equal(await one.publisher.publishedEpoch, 0);
    await server.restart();
    await one.published(3);
    assert.equal((await readPublished(redis, archive, 0)).notice?.epoch, 3);
  });

  test('closes within its time while Redis is gone', async () => {
    const one = publisher('one');
    await one.publisher.takeLease({ replace: false });
    await server.kill();
    one.publisher.publish(notice(1));
    assert.equal(await one.publisher.close(100), false);
    await server.restart();
  });
});
