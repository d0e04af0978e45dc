import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { type Job, Queue, RedisQueueBackend } from 'bullmq';
import { Redis } from 'ioredis';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { type DataRefusal, SafeWorker } from '../../src/queue/safe-worker.ts';
import { startRedis } from '../redis/redis-server.ts';

suite('safe worker', () => {
  /** Runs one job through a worker. */
  async function run(
    data: unknown,
    work: (job: Job, refusal: DataRefusal | undefined) => Promise<void>,
  ): Promise<string> {
    const server = await startRedis();
    const connection = new Redis(server.url, { maxRetriesPerRequest: null });
    const queue = new Queue('jobs', { connection });
    const settled = Promise.withResolvers<void>();
    const worker = new SafeWorker('jobs', (job) => work(job, worker.refusalOf(job)), defaultLimits, { connection });
    worker.on('error', () => settled.resolve());
    worker.on('completed', () => settled.resolve());
    worker.on('failed', () => settled.resolve());
    const ready = once(worker, 'ready');
    await ready;
    const running = worker.run();
    const job = await queue.add('job', data);
    await settled.promise;
    await worker.drain();
    await running;
    const state = await job.getState();
    await queue.close();
    connection.disconnect();
    await server.stop();
    return state;
  }

  test('leaves a job active whose work was done when Redis refuses its completion', async () => {
    const state = await run({ v: 1 }, async (job) => {
      job.moveToCompleted = () => Promise.reject(new Error('MISCONF Redis cannot write'));
    });
    assert.equal(state, 'active');
  });

  test('writes no job out as text on its way from Redis', async () => {
    const server = await startRedis();
    const connection = new Redis(server.url, { maxRetriesPerRequest: null });
    const queue = new Queue('jobs', { connection });
    const texts = ['first', 'second', 'third'].map((word) => word.repeat(1000));
    await queue.addBulk(texts.map((text) => ({ name: 'job', data: { text } })));
    const taken: unknown[] = [];
    const done = Promise.withResolvers<void>();
    const work = async (job: Job): Promise<void> => {
      taken.push(job.data.text);
      if (taken.length === texts.length) done.resolve();
    };
    const worker = new SafeWorker('jobs', work, defaultLimits, { connection });
    const backend = worker.getBackend();
    assert.ok(backend instanceof RedisQueueBackend);
    const run = backend.execCommand.bind(backend);
    let [fetchedCount, joinedCount] = [0, 0];
    const spyOn = (reply: unknown): unknown => {
      if (!Array.isArray(reply)) return reply;
      fetchedCount += 1;
      // It is by this that an array becomes a text.
      reply.join = (): string => {
        joinedCount += 1;
        return '';
      };
      return reply;
    };
    backend.execCommand = async (...words): Promise<unknown> => spyOn(await run(...words));
    const running = worker.run();
    await done.promise;
    await worker.drain();
    await running;
    assert.deepEqual(taken, texts);
    assert.ok(fetchedCount >= texts.length);
    assert.equal(joinedCount, 0);
    await queue.close();
    connection.disconnect();
    await server.stop();
  });

  test('fails a job whose work failed', async () => {
    assert.equal(await run({}, () => Promise.reject(new Error('no'))), 'failed');
  });

  test('tells whom to answer about data above the limit', async () => {
    let found: DataRefusal | undefined;
    const replyTo = { list: 'l' };
    await run({ v: 1, id: 'big', replyTo, records: ['x'.repeat(defaultLimits.jobBytesMax)] }, async (_job, refusal) => {
      found = refusal;
    });
    assert.equal(found?.error.code, 'limit-exceeded');
    assert.deepEqual(found?.address, { id: 'big', replyTo: { kind: 'list', list: 'l' } });
    assert.ok((found?.size ?? 0) > defaultLimits.jobBytesMax);
  });

  test('takes JSON that is nested as deep as the limit allows', async () => {
    const depth = 200_000;
    let code: string | undefined = 'none';
    const server = await startRedis();
    const connection = new Redis(server.url, { maxRetriesPerRequest: null });
    const queue = new Queue('jobs', { connection });
    const job = await queue.add('job', {}, { delay: 60_000 });
    await connection.hset(`bull:jobs:${job.id}`, 'data', `${'['.repeat(depth)}${']'.repeat(depth)}`);
    await job.promote();
    const done = Promise.withResolvers<void>();
    const worker = new SafeWorker(
      'jobs',
      async (taken) => {
        code = worker.refusalOf(taken)?.error.code;
        done.resolve();
      },
      defaultLimits,
      { connection },
    );
    const running = worker.run();
    await done.promise;
    assert.equal(code, undefined);
    await worker.drain();
    await running;
    await queue.close();
    connection.disconnect();
    await server.stop();
  });
});
