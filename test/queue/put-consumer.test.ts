import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { PermafrostError } from '../../src/base/errors.ts';
import { clientTtlMs } from '../../src/protocol/lifetimes.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { FakeShard } from './fake-shard.ts';
import { QueueBench } from './queue-bench.ts';

function record(key: string, text = 'payload'): object {
  return { key, text };
}

function putOf(id: string | undefined, keys: readonly string[], rest: object = {}): object {
  return { v: 1, ...(id === undefined ? {} : { id }), records: keys.map((key) => record(key)), ...rest };
}

suite('put consumer', () => {
  let server: RedisServer;
  let shard: FakeShard;
  let bench: QueueBench;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    shard = new FakeShard();
    bench = new QueueBench(server, shard);
  });
  afterEach(async () => {
    shard.autoCommit = true;
    shard.commit();
    await bench.redis.flushall();
    await bench.close();
  });

  test('completes a job only after the commit of its records', async () => {
    bench.run();
    const job = await bench.addPut(putOf('p1', ['a', 'b']));
    await shard.arrived(1);
    // A completion that did not wait would be on its way to Redis before these are fetched.
    for (let later = 2; later <= 4; later++) {
      await bench.addPut(putOf(`p${later}`, ['c']));
      await shard.arrived(later);
    }
    assert.equal(await job.getState(), 'active');
    shard.commit();
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.deepEqual([...shard.stored.keys()], ['a', 'b', 'c']);
    assert.equal(await job.getState(), 'unknown', 'a completed job leaves nothing in Redis');
  });

  test('sends one receipt message a client and commit, and completes the jobs after it', async () => {
    bench.run();
    const replyTo = { list: 'proofs' };
    const first = await bench.addPut(putOf('p1', ['a'], { replyTo }));
    const second = await bench.addPut(putOf('p2', ['b', 'c'], { replyTo }));
    await shard.arrived(2);
    shard.commit();
    const message = (await bench.nextOnList('proofs')) as {
      receipts: { id: string; commit: number; records: object[] }[];
    };
    assert.deepEqual(
      message.receipts.map(({ id, commit, records }) => [id, commit, records.length]),
      [
        ['p1', 1, 1],
        ['p2', 1, 2],
      ],
    );
    for (const job of [first, second]) await bench.nextEvent(bench.puts, 'completed', String(job.id));
  });

  test('completes a job only after its receipt was delivered', async () => {
    const sending = Promise.withResolvers<void>();
    const delivered = Promise.withResolvers<boolean>();
    bench.replies.send = () => {
      sending.resolve();
      return delivered.promise;
    };
    shard.autoCommit = true;
    bench.run();
    const job = await bench.addPut(putOf('p1', ['a'], { replyTo: { list: 'proofs' } }));
    await sending.promise;
    for (const later of ['p2', 'p3', 'p4']) {
      const other = await bench.addPut(putOf(later, ['b']));
      await bench.nextEvent(bench.puts, 'completed', String(other.id));
    }
    assert.equal(await job.getState(), 'active');
    delivered.resolve(true);
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
  });

  test('drops a receipt for a client that has no heartbeat, and completes the job', async () => {
    const drops: string[] = [];
    const other = new QueueBench(server, shard, { observer: { replyDropped: (reason) => drops.push(reason) } });
    shard.autoCommit = true;
    other.run();
    const data = putOf('p1', ['a'], { replyTo: 'nobody' });
    const job = await other.puts.add('put', data, { timestamp: Date.now() - clientTtlMs });
    await other.nextEvent(other.puts, 'completed', String(job.id));
    assert.deepEqual(drops, ['dead-client']);
    assert.deepEqual(await other.redis.keys('*reply-nobody*'), []);
    await other.close();
  });

  test('delivers the receipt of a put in hand although Redis has lost the heartbeat of its client', async () => {
    bench.run();
    await bench.greet('c1');
    await bench.addPut(putOf('p1', ['a'], { replyTo: 'c1' }));
    await shard.arrived(1);
    await bench.redis.flushall();
    const popper = bench.redis.duplicate();
    const delivered = popper.blmove('permafrost:{bench-reply-c1}:wait', 'seen', 'RIGHT', 'LEFT', 10);
    shard.commit();
    assert.notEqual(await delivered, null);
    popper.disconnect();
  });

  test('refuses to decide alone about a key that may be on other shards, unless it was delivered before', async () => {
    const several = storedKeyOf('several');
    const other = new QueueBench(server, shard, { hasSeveralHomes: (storedKey) => several.equals(storedKey) });
    other.run();
    shard.autoCommit = true;
    const replyTo = { list: 'proofs' };
    for (const ifExists of ['skip-same', 'keep', 'reject']) {
      await other.addPut(putOf('p1', ['own', 'several'], { replyTo, ifExists }));
      const refused = (await other.nextOnList('proofs')) as { receipts: { error?: { code: string } }[] };
      assert.equal(refused.receipts[0]?.error?.code, 'several-homes');
    }
    assert.equal(shard.requests.length, 0);
    await other.addPut(putOf('p1', ['several'], { replyTo, ifExists: 'keep', repeat: true }));
    await other.addPut(putOf('p2', ['own'], { replyTo, ifExists: 'keep' }));
    await other.addPut(putOf('p3', ['several'], { replyTo }));
    await shard.arrived(3);
    await other.close();
  });

  test('fails a job of data that is not JSON, once, with its reason', async () => {
    bench.run();
    const job = await bench.puts.add('put', {}, { delay: 60_000, attempts: 5 });
    await bench.redis.hset(`permafrost:${bench.puts.name}:${job.id}`, 'data', '{not json');
    await job.promote();
    await bench.nextEvent(bench.puts, 'failed', String(job.id));
    const failed = await bench.redis.hgetall(`permafrost:${bench.puts.name}:${job.id}`);
    assert.match(String(failed.failedReason), /^malformed-json: /);
    assert.equal(shard.requests.length, 0);
    await bench.redis.del(`permafrost:${bench.puts.name}:${job.id}`);
  });

  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['an unknown version', { v: 2, records: [record('a')] }, /^unsupported-version: /],
    ['no version', { records: [record('a')] }, /^missing-field: v/],
    [
      'base64 that is not strict',
      { v: 1, records: [{ key: 'a', value: 'a-b' }] },
      /^invalid-base64: records\[0\]\.value/,
    ],
    ['one bad record among good ones', { v: 1, records: [record('a'), { key: 'b' }] }, /^missing-field: records\[1\]/],
    [
      'too many records',
      putOf(
        undefined,
        Array.from({ length: 1001 }, (_, index) => `k${index}`),
      ),
      /recordCountMax is 1000/,
    ],
    ['a key over the limit', putOf(undefined, ['k'.repeat(1025)]), /keyBytesMax is 1024/],
    ['a value over the limit', { v: 1, records: [record('a', 'x'.repeat(1_048_577))] }, /valueBytesMax is 1048576/],
    ['an unknown reply name', { ...putOf('p', ['a']), replyTo: '../etc' }, /^invalid-reply-to: /],
    ['data that is an array', [1, 2, 3], /^invalid-field: message/],
  ];
  for (const [what, data, reason] of wrong) {
    test(`fails a job with ${what}, stores nothing, and goes on`, async () => {
      shard.autoCommit = true;
      bench.run();
      const bad = await bench.addPut(data);
      const good = await bench.addPut(putOf('good', ['z']));
      await bench.nextEvent(bench.puts, 'failed', String(bad.id));
      await bench.nextEvent(bench.puts, 'completed', String(good.id));
      const [failed] = await bench.puts.getFailed();
      assert.match(String(failed?.failedReason), reason);
      assert.deepEqual([...shard.stored.keys()], ['z']);
    });
  }

  test('tells the producer why a put was refused', async () => {
    bench.run();
    await bench.addPut({ v: 1, id: 'bad', replyTo: { list: 'proofs' }, records: [{ key: 'a', value: '?' }] });
    const message = await bench.nextOnList('proofs');
    assert.partialDeepStrictEqual(message, {
      v: 1,
      receipts: [{ id: 'bad', shard: 0, error: { code: 'invalid-base64' } }],
    });
  });

  test('refuses a job above the limit unread, and keeps its reason but not its bytes', async () => {
    shard.autoCommit = true;
    bench.run();
    const huge = await bench.addPut({ v: 1, records: [record('a', 'x'.repeat(100_000_000))] });
    const good = await bench.addPut(putOf('good', ['z']));
    await bench.nextEvent(bench.puts, 'failed', String(huge.id));
    await bench.nextEvent(bench.puts, 'completed', String(good.id));
    const [failed] = await bench.puts.getFailed();
    assert.match(String(failed?.failedReason), /^limit-exceeded: .*jobBytesMax/);
    assert.ok(JSON.stringify(failed?.data).length < 200);
  });

  test('keeps its own settings for jobs, whatever a producer asks for', async () => {
    shard.autoCommit = true;
    bench.run();
    const bad = await bench.puts.add('put', { v: 9 }, { attempts: 50, backoff: 1, removeOnFail: true });
    const good = await bench.puts.add('put', putOf('p', ['a']), { removeOnComplete: false });
    await bench.nextEvent(bench.puts, 'failed', String(bad.id));
    await bench.nextEvent(bench.puts, 'completed', String(good.id));
    assert.deepEqual(await bench.puts.getJobCounts('failed', 'completed', 'delayed', 'wait'), {
      failed: 1,
      completed: 0,
      delayed: 0,
      wait: 0,
    });
  });

  test('holds a job that the shard cannot take now, and stores it when it can', async () => {
    shard.failWith = new PermafrostError('failed', 'the disk is gone');
    bench.run();
    const job = await bench.addPut(putOf('p1', ['a']));
    await shard.arrived(2);
    assert.equal(await job.getState(), 'active');
    assert.deepEqual(bench.putConsumer.intake.reasons, ['held']);
    shard.failWith = undefined;
    shard.autoCommit = true;
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.deepEqual(
      shard.requests.map(({ redelivered }) => redelivered).filter((_, index) => index < 2),
      [false, true],
    );
  });

  test('stores what follows a job whose time is no time, and fails that one with its reason', async () => {
    shard.autoCommit = true;
    bench.run();
    const data = putOf('bad', ['a'], { replyTo: { list: 'proofs' } });
    const bad = await bench.puts.add('put', data, { timestamp: 'yesterday' as unknown as number });
    const good = await bench.addPut(putOf('good', ['z']));
    await bench.nextEvent(bench.puts, 'failed', String(bad.id));
    await bench.nextEvent(bench.puts, 'completed', String(good.id));
    assert.match(String((await bench.puts.getFailed())[0]?.failedReason), /^invalid-field: timestamp/);
    assert.deepEqual([...shard.stored.keys()], ['z']);
    assert.partialDeepStrictEqual(await bench.nextOnList('proofs'), {
      receipts: [{ id: 'bad', error: { code: 'invalid-field' } }],
    });
  });

  test('stores and completes jobs although its observer fails at each of them', async () => {
    const putStored = (): never => {
      throw new TypeError('not a number');
    };
    const other = new QueueBench(server, shard, { observer: { putStored } });
    shard.autoCommit = true;
    other.run();
    const jobs = [await other.addPut(putOf('p1', ['a'])), await other.addPut(putOf('p2', ['b']))];
    for (const job of jobs) await other.nextEvent(other.puts, 'completed', String(job.id));
    assert.equal(shard.requests.length, 2, 'each was stored at its first try');
    assert.deepEqual(other.putConsumer.intake.reasons, []);
    await other.close();
  });

  test('gives a job up that meets what nobody foresaw, and stores the others meanwhile', async () => {
    shard.autoCommit = true;
    const store = shard.put.bind(shard);
    let tries = 0;
    shard.put = (request) => {
      if (request.putId !== 'odd') return store(request);
      tries += 1;
      return Promise.reject(new TypeError('nobody foresaw this'));
    };
    bench.run();
    const odd = await bench.addPut(putOf('odd', ['a'], { replyTo: { list: 'proofs' } }));
    const good = await bench.addPut(putOf('good', ['z']));
    await bench.nextEvent(bench.puts, 'completed', String(good.id));
    assert.equal(await odd.getState(), 'active');
    assert.deepEqual(bench.putConsumer.intake.reasons, []);
    assert.partialDeepStrictEqual(await bench.nextOnList('proofs'), {
      receipts: [{ id: 'odd', error: { code: 'internal' } }],
    });
    await bench.nextEvent(bench.puts, 'failed', String(odd.id));
    assert.match(String((await bench.puts.getFailed())[0]?.failedReason), /^internal: .*nobody foresaw this/);
    assert.equal(tries, 5);
  });

  test('holds a job that meets what nobody foresaw while the shard says that it is not well', async () => {
    const { intake } = bench.putConsumer;
    const held = Promise.withResolvers<void>();
    const pause = intake.pause.bind(intake);
    intake.pause = (reason) => {
      pause(reason);
      if (reason === 'held') held.resolve();
    };
    shard.put = () => {
      intake.pause('shard');
      return Promise.reject(new TypeError('nobody foresaw this'));
    };
    bench.run();
    const job = await bench.addPut(putOf('p1', ['a']));
    await held.promise;
    assert.equal(await bench.putConsumer.close(5000), true);
    assert.equal(await job.getState(), 'waiting');
  });

  test('hands a held job back to the head of the queue when it closes', async () => {
    shard.failWith = new PermafrostError('failed', 'the disk is gone');
    bench.run();
    const job = await bench.addPut(putOf('p1', ['a']));
    await shard.arrived(1);
    assert.equal(await bench.putConsumer.close(5000), true);
    assert.equal(await job.getState(), 'waiting');
    shard.failWith = undefined;
  });

  test('says that a job may be a repetition when its counters say so', async () => {
    shard.autoCommit = true;
    const job = await bench.addPut(putOf('p1', ['a']));
    await bench.redis.hset(`permafrost:${bench.puts.name}:${job.id}`, 'ats', '1');
    const fresh = await bench.addPut(putOf('p2', ['b']));
    bench.run();
    for (const added of [job, fresh]) await bench.nextEvent(bench.puts, 'completed', String(added.id));
    assert.deepEqual(
      shard.requests.map(({ putId, redelivered }) => [putId, redelivered]),
      [
        ['p1', true],
        ['p2', false],
      ],
    );
  });

  test('doubts the counters of jobs that were queued before Redis was lost', async () => {
    shard.autoCommit = true;
    const job = await bench.addPut(putOf('p1', ['a']));
    bench.putConsumer.history.doubt();
    bench.run();
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.equal(shard.requests[0]?.redelivered, true);
  });

  test('names a put without an id after its job and time', async () => {
    shard.autoCommit = true;
    bench.run();
    const job = await bench.addPut(putOf(undefined, ['a']), 'mine');
    await bench.nextEvent(bench.puts, 'completed', 'mine');
    assert.equal(shard.requests[0]?.putId, `job mine ${job.timestamp}`);
  });
});
