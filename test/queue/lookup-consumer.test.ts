import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { clientTtlMs } from '../../src/protocol/lifetimes.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { FakeShard } from './fake-shard.ts';
import { QueueBench } from './queue-bench.ts';

interface Message {
  readonly id: string;
  readonly part: number;
  readonly last: boolean;
  readonly results: readonly Readonly<Record<string, unknown>>[];
}

const replyTo = { list: 'answers' };

suite('lookup consumer', () => {
  let server: RedisServer;
  let shard: FakeShard;
  let bench: QueueBench;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    shard = new FakeShard();
    shard.autoCommit = true;
    bench = new QueueBench(server, shard);
  });
  afterEach(async () => {
    await bench.redis.flushall();
    await bench.close();
  });

  async function archived(key: string, payload: Buffer): Promise<string> {
    const records = [{ key, storedKey: Buffer.alloc(32), payload }];
    const stored = await shard.put({ putId: 'p', redelivered: false, ifExists: 'append', records });
    return `0:${stored.records[0]?.cursor.toString('hex')}`;
  }

  async function ask(question: object): Promise<Message> {
    await bench.addLookup({ v: 1, id: 'q', replyTo, ...question });
    return (await bench.nextOnList('answers')) as Message;
  }

  test('answers keys and cursors in the order of the question', async () => {
    bench.run();
    const cursor = await archived('a', Buffer.from('payload'));
    const reply = await ask({ keys: ['nothing', 'a'], cursors: [cursor] });
    assert.deepEqual([reply.id, reply.part, reply.last], ['q', 0, true]);
    const found = {
      outcome: 'found',
      value: Buffer.from('payload').toString('base64'),
      size: 7,
      time: 1_700_000_000_000,
    };
    assert.deepEqual(reply.results, [
      { key: 'nothing', outcome: 'missing' },
      { key: 'a', cursor, ...found, put: 'p/000000' },
      { key: 'a', cursor, ...found, put: 'p/000000' },
    ]);
  });

  test('leaves the values out when they are not asked for', async () => {
    bench.run();
    await archived('a', Buffer.from('payload'));
    const { results } = await ask({ keys: ['a'], values: false });
    assert.deepEqual([results[0]?.outcome, results[0]?.size, results[0]?.value], ['found', 7, undefined]);
  });

  test('answers a cursor that never existed, or is of another shard, as invalid', async () => {
    bench.run();
    const cursor = await archived('a', Buffer.from('payload'));
    const { results } = await ask({ cursors: [`0:${'0'.repeat(40)}`, cursor.replace('0:', '7:')] });
    for (const result of results) {
      assert.partialDeepStrictEqual(result, { outcome: 'invalid', error: { code: 'wrong-cursor' } });
    }
    assert.equal(results.length, 2);
  });

  test('cuts a large reply into parts, and says which one is the last', async () => {
    bench.run();
    for (const key of ['a', 'b', 'c']) await archived(key, Buffer.alloc(150_000, key));
    await bench.addLookup({ v: 1, id: 'q', replyTo, keys: ['a', 'b', 'c'] });
    const parts: Message[] = [];
    do parts.push((await bench.nextOnList('answers')) as Message);
    while (parts.at(-1)?.last !== true);
    assert.deepEqual(
      parts.map(({ part, results }) => [part, results.map(({ key }) => key)]),
      [
        [0, ['a']],
        [1, ['b']],
        [2, ['c']],
      ],
    );
  });

  test('answers what does not fit into a reply as too large, with its place and size', async () => {
    const small = new QueueBench(server, shard, { limits: { replyBytesMax: 10 } });
    small.run();
    for (const key of ['a', 'b', 'c']) await archived(key, Buffer.alloc(key === 'c' ? 2 : 8));
    const { results } = await ask({ keys: ['a', 'b', 'c'] });
    assert.deepEqual(
      results.map(({ outcome, size, value }) => [outcome, size, value !== undefined]),
      [
        ['found', 8, true],
        ['too-large', 8, false],
        ['found', 2, true],
      ],
    );
    await small.close();
  });

  test('reads no more values than a reply may hold, of a few lookups at a time', async () => {
    const limits = { replyBytesMax: 2_097_152 };
    const small = new QueueBench(server, shard, { limits });
    const keys = Array.from({ length: 200 }, (_, index) => `k${index}`);
    for (const key of keys) await archived(key, Buffer.alloc(262_144));
    const read = shard.lookupMany.bind(shard);
    let [readCount, readsAtOnceMax, readsAtOnce] = [0, 0, 0];
    shard.lookupMany = async (questions) => {
      readCount += questions.length;
      readsAtOnce += 1;
      readsAtOnceMax = Math.max(readsAtOnceMax, readsAtOnce);
      await new Promise((resolve) => setImmediate(resolve));
      readsAtOnce -= 1;
      return read(questions);
    };
    const jobs = Array.from({ length: 12 }, (_, index) => ({
      v: 1,
      id: `q${index}`,
      replyTo: { list: `l${index}` },
      keys,
    }));
    for (const job of jobs) await small.addLookup(job);
    small.run();
    for (const [index] of jobs.entries()) {
      const parts: Message[] = [];
      do parts.push((await small.nextOnList(`l${index}`)) as Message);
      while (parts.at(-1)?.last !== true);
      const results = parts.flatMap((part) => part.results);
      assert.deepEqual(
        results.map(({ key }) => key),
        keys,
      );
      assert.deepEqual(
        parts.map(({ part }) => part),
        parts.map((_, part) => part),
      );
      const outcomes = results.map(({ outcome }) => outcome);
      assert.deepEqual(outcomes, [...Array(8).fill('found'), ...Array(192).fill('too-large')]);
    }
    assert.equal(readCount, jobs.length * 16, 'each reads its first slice only');
    assert.ok(readsAtOnceMax <= 4);
    await small.close();
  });

  test('reads a lookup of small values at once, when others brought small values before', async () => {
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    for (const key of keys) await archived(key, Buffer.alloc(100));
    const read = shard.lookupMany.bind(shard);
    let counts: number[] = [];
    shard.lookupMany = (questions) => {
      counts.push(questions.length);
      return read(questions);
    };
    bench.run();
    const seen: (readonly number[])[] = [];
    for (let index = 0; index < 3; index++) {
      await bench.addLookup({ v: 1, id: `q${index}`, replyTo: { list: 'l' }, keys });
      const { results } = (await bench.nextOnList('l')) as Message;
      assert.equal(results.length, 100);
      seen.push(counts);
      counts = [];
    }
    assert.deepEqual(seen, [[16, 84], [64, 36], [100]]);
  });

  test('reads nothing for a lookup whose deadline has passed', async () => {
    bench.run();
    await archived('a', Buffer.from('payload'));
    const reads = shard.lookupMany.bind(shard);
    let readCount = 0;
    shard.lookupMany = (questions) => {
      readCount += 1;
      return reads(questions);
    };
    const { results } = await ask({ keys: ['a'], deadline: 1 });
    assert.deepEqual(results, [{ key: 'a', outcome: 'expired' }]);
    assert.equal(readCount, 0);
  });

  test('answers expired when the deadline passes while the shard reads', async () => {
    bench.run();
    shard.lookupMany = () => new Promise(() => {});
    const { results } = await ask({ keys: ['a'], deadline: Date.now() + 200 });
    assert.deepEqual(results, [{ key: 'a', outcome: 'expired' }]);
  });

  test('answers unavailable, not missing, when the shard fails', async () => {
    bench.run();
    shard.lookupMany = () => Promise.reject(new Error('the disk is gone'));
    const { results } = await ask({ keys: ['a'] });
    assert.deepEqual(results, [{ key: 'a', outcome: 'unavailable' }]);
    shard.lookupMany = async () => [{ kind: 'unavailable', error: new Error('the disk does not answer') }];
    assert.deepEqual((await ask({ keys: ['a'] })).results, [{ key: 'a', outcome: 'unavailable' }]);
    shard.lookupMany = async () => [{ kind: 'corrupt', error: new Error('rotten') }];
    assert.deepEqual((await ask({ keys: ['a'] })).results, [{ key: 'a', outcome: 'corrupt' }]);
  });

  test('refuses a lookup as a whole with a reply that says why', async () => {
    bench.run();
    const reply = await ask({ keys: [] });
    assert.partialDeepStrictEqual(reply, { id: 'q', last: true, results: [], error: { code: 'missing-field' } });
  });

  test('reads nothing for a client that has no heartbeat', async () => {
    bench.run();
    const data = { v: 1, id: 'q', replyTo: 'nobody', keys: ['a'] };
    const job = await bench.lookups.add('lookup', data, { timestamp: Date.now() - clientTtlMs });
    await bench.nextEvent(bench.lookups, 'failed', String(job.id));
    const [failed] = await bench.lookups.getFailed();
    assert.match(String(failed?.failedReason), /^unknown-client: /);
  });

  test('answers a client that asked just now although Redis has lost its heartbeat', async () => {
    bench.run();
    const job = await bench.addLookup({ v: 1, id: 'q', replyTo: 'reader-1', keys: ['a'] });
    await bench.nextEvent(bench.lookups, 'completed', String(job.id));
    assert.equal(await bench.redis.llen('permafrost:{bench-reply-reader-1}:wait'), 1);
  });

  test('answers through the reply queue of a client that lives', async () => {
    bench.run();
    await bench.greet('reader-1');
    const job = await bench.addLookup({ v: 1, id: 'q', replyTo: 'reader-1', keys: ['a'] });
    await bench.nextEvent(bench.lookups, 'completed', String(job.id));
    const [id] = await bench.redis.lrange('permafrost:{bench-reply-reader-1}:wait', 0, -1);
    const data = await bench.redis.hget(`permafrost:{bench-reply-reader-1}:${id}`, 'data');
    assert.deepEqual(JSON.parse(String(data)).results, [{ key: 'a', outcome: 'missing' }]);
  });
});
