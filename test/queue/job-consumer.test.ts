import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { openConnection } from '../../src/queue/connection.ts';
import { type ConsumerDeps, JobConsumer } from '../../src/queue/job-consumer.ts';
import { silentObserver } from '../../src/queue/queue-observer.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { startRedis } from '../redis/redis-server.ts';

const settings = {
  queue: 'jobs',
  concurrency: 1,
  bytesInHandMax: 8_388_608,
  limits: defaultLimits,
  lockDurationMs: 20_000,
  stalledIntervalMs: 5000,
  failedCountMax: 2,
  failedAgeMaxS: 3600,
};

function depsFor(url: string): ConsumerDeps {
  return {
    connection: openConnection({ url, username: '', password: '', tlsCaFile: '' }, 'test'),
    clock: systemClock,
    logger: silentLogger,
    log: new ThrottledLog(silentLogger, systemClock),
    observer: silentObserver,
  };
}

test('fetches with each completion while the queue has jobs, although a commit settles all in hand at once', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  const queue = new Queue('jobs', { connection: redis, prefix: 'permafrost' });
  const [jobCount, concurrency] = [640, 128];
  await queue.addBulk(Array.from({ length: jobCount }, () => ({ name: 'put', data: {} })));
  const held: (() => void)[] = [];
  let takenCount = 0;
  const done = Promise.withResolvers<void>();
  const consumer = new JobConsumer({ ...settings, concurrency }, depsFor(server.url), async () => {
    takenCount += 1;
    const settled = new Promise<void>((resolve) => held.push(resolve));
    if (held.length === Math.min(concurrency, jobCount - takenCount + held.length)) {
      for (const settle of held.splice(0)) settle();
    }
    await settled;
    if (takenCount === jobCount) done.resolve();
  });
  await redis.config('RESETSTAT');
  consumer.run();
  await done.promise;
  assert.equal(await consumer.close(5000), true);
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]);
  // One a job, and those that filled the hand once.
  assert.ok(calls < jobCount + 1.5 * concurrency, `${calls} scripts for ${jobCount} jobs`);
  await queue.close();
  redis.disconnect();
  await server.stop();
});

test('tries a job that meets a bug of ours once, fetches nothing before run, and keeps so many failed jobs', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  const queue = new Queue('jobs', { connection: redis, prefix: 'permafrost' });
  const done = Promise.withResolvers<void>();
  const taken: string[] = [];
  const consumer = new JobConsumer(settings, depsFor(server.url), async (job) => {
    taken.push(job.name);
    if (job.name === 'last') return done.resolve();
    throw new TypeError('a bug');
  });
  consumer.intake.pause('low-disk');
  consumer.intake.resume('low-disk');
  for (const name of ['a', 'b', 'c']) await queue.add(name, {}, { attempts: 5, removeOnFail: false });
  await queue.add('last', {});
  assert.equal(await queue.getActiveCount(), 0);
  consumer.run();
  await done.promise;
  assert.equal(await consumer.close(5000), true);
  assert.deepEqual(taken, ['a', 'b', 'c', 'last']);
  assert.deepEqual((await queue.getFailed()).map(({ name }) => name).sort(), ['b', 'c']);
  await queue.close();
  redis.disconnect();
  await server.stop();
});
