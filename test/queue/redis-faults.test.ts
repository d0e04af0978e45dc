import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, suite, test } from 'node:test';
import { Worker } from 'bullmq';
import { putQueueName, queuePrefix } from '../../src/protocol/names.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../redis/redis-server.ts';
import { FakeShard } from './fake-shard.ts';
import { archive, type BenchOptions, QueueBench } from './queue-bench.ts';

function putOf(id: string): object {
  return { v: 1, id, records: [{ key: id, text: 'payload' }] };
}

suite('a Redis that fails', () => {
  let server: RedisServer | undefined;
  let bench: QueueBench | undefined;

  afterEach(async () => {
    await server?.restart();
    await bench?.close();
    await server?.stop();
    server = undefined;
    bench = undefined;
  });

  /** A Redis of the test's own, with both consumers at it, which do not run yet. */
  async function open(
    shard: FakeShard,
    options: BenchOptions = {},
    redis: RedisOptions = {},
  ): Promise<{ readonly server: RedisServer; readonly bench: QueueBench }> {
    server = await startRedis(redis);
    bench = new QueueBench(server, shard, options);
    return { server, bench };
  }

  test('completes jobs that were committed while Redis was away for several attempts to reach it', async () => {
    const shard = new FakeShard();
    let troubles = 0;
    const outage = Promise.withResolvers<void>();
    const redisTrouble = (): void => {
      troubles += 1;
      if (troubles > 6) outage.resolve();
    };
    const { server, bench } = await open(shard, { observer: { redisTrouble } });
    bench.run();
    const jobs = await bench.puts.addBulk(
      Array.from({ length: 10 }, (_, index) => ({ name: 'put', data: putOf(`p${index}`) })),
    );
    await shard.arrived(10);
    await server.shutdown();
    shard.commit();
    await outage.promise;
    await server.restart();
    for (const job of jobs) await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.deepEqual(await bench.puts.getJobCounts('active', 'wait', 'failed'), { active: 0, wait: 0, failed: 0 });
    assert.equal(shard.requests.length, 10, 'nothing was delivered twice');
  });

  test('takes jobs again after Redis was killed and had lost them all', async () => {
    const shard = new FakeShard();
    shard.autoCommit = true;
    const { server, bench } = await open(shard, {}, { appendOnly: 'no' });
    bench.run();
    const first = await bench.addPut(putOf('p1'));
    await bench.nextEvent(bench.puts, 'completed', String(first.id));
    await server.kill();
    await server.restart();
    const second = await bench.addPut(putOf('p2'), 'again');
    await bench.nextEvent(bench.puts, 'completed', String(second.id));
    assert.deepEqual([...shard.stored.keys()], ['p1', 'p2']);
    assert.equal(shard.requests.at(-1)?.redelivered, true, 'what was queued near the loss is doubted');
  });

  test('closes within its deadline while Redis is gone, and leaves nothing behind', async () => {
    const shard = new FakeShard();
    const { server, bench } = await open(shard);
    bench.run();
    await bench.addPut(putOf('p1'));
    await shard.arrived(1);
    const lost = once(bench.redis, 'close');
    await server.kill();
    await lost;
    shard.commit();
    const startedMs = performance.now();
    const [clean] = await Promise.all([bench.putConsumer.close(300), bench.lookupConsumer.close(300)]);
    assert.equal(clean, false);
    assert.ok(performance.now() - startedMs < 2000);
  });

  test('closes well right after Redis came back', async () => {
    const { server, bench } = await open(new FakeShard());
    bench.run();
    await bench.nextOnList('nothing', 0.1).catch(() => {});
    await server.restart();
    assert.deepEqual(await bench.close(10_000), [true, true]);
  });

  test('finishes the jobs in hand before it closes', async () => {
    const shard = new FakeShard();
    const { bench } = await open(shard);
    bench.run();
    const job = await bench.addPut(putOf('p1'));
    await shard.arrived(1);
    const closing = bench.putConsumer.close(5000);
    shard.commit();
    assert.equal(await closing, true);
    assert.equal(await job.getState(), 'unknown');
  });

  test('rests instead of spinning when Redis is out of memory, and goes on when it has room', async () => {
    const shard = new FakeShard();
    shard.autoCommit = true;
    let errors = 0;
    const rested = Promise.withResolvers<void>();
    const redisTrouble = (trouble: string): void => {
      errors += 1;
      if (trouble === 'out-of-memory') rested.resolve();
    };
    const { bench } = await open(shard, { observer: { redisTrouble } });
    const job = await bench.addPut(putOf('p1'));
    await bench.redis.config('SET', 'maxmemory', '1');
    bench.putConsumer.run();
    await rested.promise;
    assert.deepEqual(bench.putConsumer.intake.reasons, ['redis']);
    await bench.redis.config('SET', 'maxmemory', '0');
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.ok(errors < 20, `${errors} errors`);
  });

  test('finds a record stored when a worker that hung comes back with it', async () => {
    const shard = new FakeShard();
    const { bench } = await open(shard, { lockDurationMs: 1000 });
    const job = await bench.addPut(putOf('p1'));
    const dead = new Worker(putQueueName(archive, 0), null, {
      connection: bench.redis,
      prefix: queuePrefix,
      lockDuration: 1000,
    });
    const token = 'dead';
    assert.equal((await dead.getNextJob(token))?.id, job.id);
    await dead.close();
    shard.autoCommit = true;
    bench.run();
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.deepEqual(
      shard.requests.map(({ redelivered }) => redelivered),
      [true],
    );
  });
});
