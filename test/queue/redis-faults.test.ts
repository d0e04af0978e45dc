import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, suite, test } from 'node:test';
import { Worker } from 'bullmq';
import { putQueueName, queuePrefix } from '../../src/protocol/names.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { FakeShard } from './fake-shard.ts';
import { archive, QueueBench } from './queue-bench.ts';

function putOf(id: string): object {
  return { v: 1, id, records: [{ key: id, text: 'payload' }] };
}

suite('a Redis that fails', () => {
  let server: RedisServer;
  let bench: QueueBench | undefined;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  afterEach(async () => {
    await server.restart();
    await bench?.redis.flushall();
    await bench?.close();
    bench = undefined;
  });

  test('completes jobs that were committed while Redis was away for several attempts to reach it', async () => {
    const shard = new FakeShard();
    let troubles = 0;
    const outage = Promise.withResolvers<void>();
    const redisTrouble = (): void => {
      troubles += 1;
      if (troubles > 6) outage.resolve();
    };
    bench = new QueueBench(server, shard, { observer: { redisTrouble } }).run();
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
    const forgetful = await startRedis({ appendOnly: 'no' });
    const other = new QueueBench(forgetful, shard).run();
    const first = await other.addPut(putOf('p1'));
    await other.nextEvent(other.puts, 'completed', String(first.id));
    await forgetful.kill();
    await forgetful.restart();
    const second = await other.addPut(putOf('p2'), 'again');
    await other.nextEvent(other.puts, 'completed', String(second.id));
    assert.deepEqual([...shard.stored.keys()], ['p1', 'p2']);
    assert.equal(shard.requests.at(-1)?.redelivered, true, 'what was queued near the loss is doubted');
    await other.close();
    await forgetful.stop();
  });

  test('closes within its deadline while Redis is gone, and leaves nothing behind', async () => {
    const shard = new FakeShard();
    const gone = await startRedis();
    const other = new QueueBench(gone, shard).run();
    await other.addPut(putOf('p1'));
    await shard.arrived(1);
    const lost = once(other.redis, 'close');
    await gone.kill();
    await lost;
    shard.commit();
    const startedMs = performance.now();
    const [clean] = await Promise.all([other.putConsumer.close(300), other.lookupConsumer.close(300)]);
    assert.equal(clean, false);
    assert.ok(performance.now() - startedMs < 2000);
    await gone.restart();
    await other.close();
    await gone.stop();
  });

  test('closes well right after Redis came back', async () => {
    const back = await startRedis();
    const other = new QueueBench(back, new FakeShard()).run();
    await other.nextOnList('nothing', 0.1).catch(() => {});
    await back.restart();
    assert.deepEqual(await other.close(10_000), [true, true]);
    await back.stop();
  });

  test('finishes the jobs in hand before it closes', async () => {
    const shard = new FakeShard();
    bench = new QueueBench(server, shard).run();
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
    const full = await startRedis();
    const rested = Promise.withResolvers<void>();
    const redisTrouble = (): void => {
      errors += 1;
      rested.resolve();
    };
    const other = new QueueBench(full, shard, { observer: { redisTrouble } });
    const job = await other.addPut(putOf('p1'));
    await other.redis.config('SET', 'maxmemory', '1');
    other.run();
    await rested.promise;
    assert.deepEqual(other.putConsumer.intake.reasons, ['redis']);
    await other.redis.config('SET', 'maxmemory', '0');
    await other.nextEvent(other.puts, 'completed', String(job.id));
    assert.ok(errors < 20, `${errors} errors`);
    await other.close();
    await full.stop();
  });

  test('finds a record stored when a worker that hung comes back with it', async () => {
    const shard = new FakeShard();
    bench = new QueueBench(server, shard, { lockDurationMs: 1000 });
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
