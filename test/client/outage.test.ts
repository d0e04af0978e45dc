import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { heartbeatKey } from '../../src/protocol/names.ts';
import { LossyProxy } from '../redis/lossy-proxy.ts';
import { startRedis } from '../redis/redis-server.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { store } from './bare-worker.ts';
import { archive, assertFails, Fixture, until } from './client-fixture.ts';

let fixture: Fixture | undefined;
afterEach(() => fixture?.stop());

async function start(options: Parameters<typeof startRedis>[0] = {}): Promise<Fixture> {
  fixture = await Fixture.start(options);
  return fixture;
}

describe('without Redis', () => {
  it('a client does not connect, and says why', async () => {
    const server = await startRedis();
    await server.stop();
    const error = await assertFails(
      'connection',
      Client.connect({ archive, redis: server.url, connectTimeoutMs: 100 }),
    );
    assert.match(error.message, /not ready after 100 ms: .*ECONNREFUSED/);
    assert.equal(error.retriable, true);
  });

  it('a client that lost it waits, and its calls go on when it is back', async () => {
    const { server } = await start({ appendOnly: 'always' });
    const held = Promise.withResolvers<() => Promise<void>>();
    const worker = await fixture?.worker({
      put: (job, self) => (job.id === 'held' ? held.resolve(() => store(job, self)) : store(job, self)),
    });
    const client = await fixture?.client();
    assert.ok(worker && client);
    const before = client.put({ key: 'before', value: '1' }, { id: 'held' });
    const answerIt = await held.promise;
    await server.kill();
    const during = client.put({ key: 'during', value: '2' });
    await server.restart();
    await answerIt();
    assert.deepEqual((await before).records[0]?.outcome, 'stored');
    assert.deepEqual((await during).records[0]?.outcome, 'stored');
    assert.equal((await client.lookup('during'))?.value.toString(), '2');
    assert.equal(worker.puts.filter(({ records }) => records[0]?.key === 'during').length, 1);
  });

  it('a client that lost it has its heartbeat back as soon as Redis is', async () => {
    const { server, redis } = await start({ appendOnly: 'no' });
    const client = await fixture?.client({}, { clock: new ManualClock() });
    assert.ok(client);
    await server.kill();
    await server.restart();
    await until(async () => (await redis.exists(heartbeatKey(archive, client.id))) === 1);
  });

  it('calls end at their deadlines, and closing ends by itself', async () => {
    const { server } = await start();
    const clock = new ManualClock();
    const client = await Client.connect({ archive, redis: server.url, closeTimeoutMs: 300 }, { clock });
    await server.kill();
    const calls = [
      assertFails('deadline', client.put({ key: 'a', value: '' }, { timeoutMs: 50 })),
      assertFails('deadline', client.lookup('a', { timeoutMs: 50 })),
    ];
    clock.advance(50);
    await Promise.all(calls);
    const pending = assertFails('closed', client.put({ key: 'b', value: '' }));
    const closing = client.close();
    await pending;
    clock.advance(300);
    await closing;
    assert.equal(clock.pendingTimers, 0);
  });

  it('no more jobs wait for it than allowed', async () => {
    const { server } = await start();
    const client = await Client.connect({ archive, redis: server.url, callCountMax: 3, closeTimeoutMs: 50 });
    await server.kill();
    const aborted = AbortSignal.abort();
    const gone = [1, 2, 3].map(() => {
      const controller = new AbortController();
      const put = client.put({ key: 'a', value: '' }, { signal: controller.signal });
      controller.abort();
      return assertFails('aborted', put);
    });
    await Promise.all(gone);
    const error = await assertFails('too-many-calls', client.put({ key: 'a', value: '' }));
    assert.equal(error.details.limit, 'callCountMax');
    await assertFails('aborted', client.put({ key: 'a', value: '' }, { signal: aborted }));
    await client.close();
  });
});

describe('when connections break', () => {
  it('no put is lost', async () => {
    const { redis } = await start();
    const client = await fixture?.client();
    await fixture?.worker();
    assert.ok(client);
    const puts = Array.from({ length: 300 }, (_, index) => client.put({ key: `k${index}`, value: 'x' }));
    for (let round = 0; round < 5; round += 1) {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    }
    assert.equal((await Promise.all(puts)).length, 300);
  });

  it('a put whose job may have been added is added again under its old id, as a repetition', async () => {
    const { server } = await start();
    const proxy = await LossyProxy.start(server.port);
    try {
      const client = await fixture?.client({ redis: proxy.url });
      assert.ok(client);
      const lost = proxy.loseAnswerTo('the-put');
      const put = client.put({ key: 'a', value: '' }, { id: 'the-put' });
      await lost;
      await proxy.loseAnswerTo('the-put');
      assert.equal(await client.backlogCount(), 1);
      const worker = await fixture?.worker();
      assert.equal((await put).id, 'the-put');
      // Jobs are taken in order: what comes after the put comes after a double of it, too.
      await client.put({ key: 'last', value: '' });
      const repeats = worker?.puts.filter(({ id }) => id === 'the-put').map(({ repeat }) => repeat);
      assert.deepEqual(
        repeats,
        repeats?.map((_, index) => index > 0),
      );
    } finally {
      await fixture?.reset();
      await proxy.stop();
    }
  });

  it('a put whose receipt comes although its job got no answer is not added again', async () => {
    const { server } = await start();
    const proxy = await LossyProxy.start(server.port);
    const worker = await fixture?.worker();
    try {
      const clock = new ManualClock();
      const client = await fixture?.client({ redis: proxy.url }, { clock });
      assert.ok(worker && client);
      // The first put loads the script, so that the second one is added by the command whose answer is lost.
      await client.put({ key: 'first', value: '' });
      const lost = proxy.loseAnswerTo('the-put');
      const put = client.put({ key: 'a', value: '' }, { id: 'the-put' });
      await lost;
      await put;
      clock.advance(1000);
      await client.put({ key: 'last', value: '' });
      assert.deepEqual(
        worker.puts.map(({ records }) => records[0]?.key),
        ['first', 'a', 'last'],
      );
    } finally {
      await fixture?.reset();
      await proxy.stop();
    }
  });

  it('a put that is added again after its first job is gone says that it is a repetition', async () => {
    const { server, redis } = await start();
    const proxy = await LossyProxy.start(server.port);
    const worker = await fixture?.worker({ put: (job, self) => (job.repeat ? store(job, self) : undefined) });
    try {
      const clock = new ManualClock();
      const client = await fixture?.client({ redis: proxy.url }, { clock });
      assert.ok(worker && client);
      const lost = proxy.loseAnswerTo('the-put');
      const put = client.put({ key: 'a', value: '' }, { id: 'the-put', timeoutMs: 86_400_000 });
      await lost;
      const left = async (): Promise<number> => (await redis.keys('permafrost:{demo-0}-put:put-*')).length;
      await until(async () => worker.puts.length === 1 && (await left()) === 0);
      await until(() => {
        clock.advance(10);
        return client.pendingCount === 0;
      });
      assert.equal((await put).id, 'the-put');
      assert.deepEqual(
        worker.puts.map(({ repeat }) => repeat),
        [false, true],
      );
    } finally {
      await fixture?.reset();
      await proxy.stop();
    }
  });
});

describe('when the backlog is full', () => {
  it('a put waits for room until its deadline, which then says so', async () => {
    const { redis } = await start();
    const clock = new ManualClock();
    const client = await fixture?.client({ backlogJobCountMax: 3, putTimeoutMs: 5000 }, { clock });
    assert.ok(client);
    const puts = Promise.allSettled([1, 2, 3, 4, 5, 6].map((number) => client.put({ key: `k${number}`, value: '' })));
    await until(async () => (await client.backlogCount()) === 3);
    await until(async () => {
      clock.advance(100);
      await redis.ping();
      return client.pendingCount === 0;
    });
    const codes = (await puts).map((put) => (put.status === 'rejected' ? put.reason.code : 'stored'));
    assert.deepEqual(codes, [...Array(3).fill('deadline'), ...Array(3).fill('backlog-full')]);
    assert.equal(await client.backlogCount(), 3);
  });

  it('a put goes on when a worker makes room', async () => {
    const { redis } = await start();
    const clock = new ManualClock();
    const client = await fixture?.client({ backlogJobCountMax: 2 }, { clock });
    assert.ok(client);
    const puts = Promise.all(Array.from({ length: 7 }, (_, index) => client.put({ key: `k${index}`, value: '' })));
    await until(async () => (await client.backlogCount()) === 2);
    const worker = await fixture?.worker();
    await until(async () => {
      clock.advance(100);
      await redis.ping();
      return worker?.puts.length === 7;
    });
    assert.equal((await puts).length, 7);
  });

  it('a client that is told to refuse does so at once', async () => {
    await start();
    const client = await fixture?.client({ backlogJobCountMax: 2, whenBacklogFull: 'refuse' });
    assert.ok(client);
    const calls = [1, 2].map((number) => assertFails('closed', client.put({ key: `k${number}`, value: '' })));
    const error = await assertFails('backlog-full', client.put({ key: 'a', value: '' }));
    assert.deepEqual([error.details, error.retriable], [{ limit: 'backlogJobCountMax', max: 2, found: 2 }, true]);
    await client.close();
    await Promise.all(calls);
  });

  it('Redis without memory counts as a full backlog', async () => {
    const { redis } = await start();
    const client = await fixture?.client({ whenBacklogFull: 'refuse' });
    assert.ok(client);
    await redis.config('SET', 'maxmemory', '1');
    const error = await assertFails('backlog-full', client.put({ key: 'a', value: '' }));
    assert.match(error.message, /no memory/);
    await redis.config('SET', 'maxmemory', '0');
  });

  it('a client that waits adds its job when Redis has memory again', async () => {
    const { redis } = await start();
    const worker = await fixture?.worker();
    const clock = new ManualClock();
    const client = await fixture?.client({}, { clock });
    assert.ok(worker && client);
    await redis.config('SET', 'maxmemory', '1');
    const put = client.put({ key: 'a', value: '' });
    await until(async () => {
      const [, stats] = [await redis.ping(), await redis.info('errorstats')];
      return stats.includes('errorstat_OOM');
    });
    await redis.config('SET', 'maxmemory', '0');
    await until(async () => {
      clock.advance(250);
      await redis.ping();
      return worker.puts.length === 1;
    });
    assert.equal((await put).records.length, 1);
  });
});
