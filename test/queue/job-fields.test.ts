import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { putQueueName, queuePrefix } from '../../src/protocol/names.ts';
import { mendJob, restoreJob } from '../../src/queue/job-fields.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { FakeShard } from './fake-shard.ts';
import { archive, QueueBench } from './queue-bench.ts';

const queueKey = `${queuePrefix}:${putQueueName(archive, 0)}:`;

/** What a hand that writes to Redis may leave in a job's hash. */
const broken: readonly (readonly [field: string, text: string])[] = [
  ['opts', '{not json'],
  ['opts', 'null'],
  ['parent', '{not json'],
  ['parent', '5'],
  ['parent', '{"id":5}'],
  ['parentKey', 'nothing'],
  ['progress', '{not json'],
  ['ats', 'many'],
  ['ats', '9223372036854775807'],
  ['atm', 'many'],
  ['atm', '-5'],
  ['stc', 'many'],
  ['delay', 'soon'],
  ['priority', 'first'],
  ['timestamp', 'yesterday'],
];

suite('a job whose fields were written by hand', () => {
  let server: RedisServer;
  let bench: QueueBench;
  let shard: FakeShard;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    shard = new FakeShard();
    shard.autoCommit = true;
    bench = new QueueBench(server, shard, { lockDurationMs: 1000 });
  });
  afterEach(async () => {
    await bench.redis.flushall();
    await bench.close();
  });

  function putOf(id: string): object {
    return { v: 1, id, records: [{ key: id, text: 'payload' }] };
  }

  async function failedReason(jobId: string): Promise<string> {
    return (await bench.redis.hget(`${queueKey}${jobId}`, 'failedReason')) ?? '';
  }

  test('is failed with its reason, and holds nobody up', async () => {
    const names = broken.map((_, index) => `broken-${index}`);
    for (const [index, [field, text]] of broken.entries()) {
      await bench.addPut(putOf(names[index] ?? ''), names[index]);
      await bench.redis.hset(`${queueKey}${names[index]}`, field, text);
    }
    await bench.addPut(putOf('no-hash'), 'no-hash');
    await bench.redis.set(`${queueKey}no-hash`, 'a text');
    const sound = await bench.addPut(putOf('sound'), 'sound');
    bench.run();
    await bench.nextEvent(bench.puts, 'completed', String(sound.id));
    for (const [index, [field]] of [...broken, ['job']].entries()) {
      const name = names[index] ?? 'no-hash';
      await bench.nextEvent(bench.puts, 'failed', name);
      assert.match(await failedReason(name), new RegExp(`^invalid-field: ${field}`));
    }
    assert.deepEqual([...shard.stored.keys()], ['sound']);
    assert.equal(await bench.redis.zcard(`${queueKey}failed`), broken.length + 1);
    assert.equal(await bench.redis.llen(`${queueKey}active`), 0);
  });

  for (const fields of [
    { atm: '1e999' },
    { atm: '1.5' },
    { atm: 'many', attemptsMade: '2' },
    { parent: '{"id":"\\ud800","queueKey":"bull:parents"}', parentKey: 'bull:parents:1' },
  ]) {
    const text = JSON.stringify(fields);
    test(`is stored once and ends although only the script that ends it meets ${text}`, async () => {
      await bench.addPut({ ...putOf('late'), replyTo: { list: 'proofs' } }, 'late');
      await bench.redis.hset(`${queueKey}late`, fields);
      bench.run();
      const outcomes: unknown[] = [];
      for (let delivery = 0; delivery < 2; delivery++) {
        const message = (await bench.nextOnList('proofs')) as { receipts: { records: { outcome: string }[] }[] };
        outcomes.push(message.receipts[0]?.records[0]?.outcome);
      }
      assert.deepEqual(outcomes, ['stored', 'unchanged']);
      await bench.nextEvent(bench.puts, 'completed', 'late');
      assert.equal(await bench.redis.exists(`${queueKey}late`), 0);
      assert.equal(await bench.redis.llen(`${queueKey}active`), 0);
    });

    test(`is failed with its reason, if it is refused, although the script meets ${text}`, async () => {
      await bench.addPut({ v: 2 }, 'refused');
      await bench.redis.hset(`${queueKey}refused`, fields);
      bench.run();
      await bench.nextEvent(bench.puts, 'failed', 'refused');
      assert.match(await failedReason('refused'), /^unsupported-version/);
      assert.equal(await bench.redis.llen(`${queueKey}active`), 0);
    });
  }

  test('is put back only where it is in no list', async () => {
    const lost = { queueKey, id: 'lost' };
    const key = `${queueKey}lost`;
    assert.equal(await restoreJob(bench.redis, lost), false);
    assert.equal(await bench.redis.exists(key), 0);
    for (const add of [
      () => bench.redis.lpush(`${queueKey}wait`, 'lost'),
      () => bench.redis.lpush(`${queueKey}paused`, 'lost'),
      () => bench.redis.zadd(`${queueKey}delayed`, 1, 'lost'),
      () => bench.redis.zadd(`${queueKey}failed`, 1, 'lost'),
    ]) {
      await bench.redis.hset(key, { ats: '3', atm: '1e999', parentKey: 'bull:parents:1' });
      await add();
      assert.equal(await restoreJob(bench.redis, lost), false);
      assert.equal(await bench.redis.hget(key, 'atm'), '1e999');
      await bench.redis.flushall();
    }
    await bench.redis.hset(key, { ats: '3', atm: '1e999', parentKey: 'bull:parents:1' });
    assert.equal(await restoreJob(bench.redis, lost), true);
    assert.equal(await restoreJob(bench.redis, lost), true);
    assert.deepEqual(await bench.redis.hgetall(key), { ats: '3', atm: '0' });
    assert.deepEqual(await bench.redis.lrange(`${queueKey}active`, 0, -1), ['lost']);
  });

  test('is not made again when it was finished while its fields were looked at', async () => {
    const gone = { queueKey, id: 'gone', fails: true };
    assert.deepEqual(await mendJob(bench.redis, gone), []);
    assert.equal(await bench.redis.exists(`${queueKey}gone`), 0);
    await bench.redis.hset(`${queueKey}gone`, 'ats', 'many');
    assert.deepEqual(await mendJob(bench.redis, gone), []);
    assert.deepEqual(await bench.redis.hgetall(`${queueKey}gone`), { ats: 'many' });
    await bench.redis.lpush(`${queueKey}active`, 'gone');
    assert.deepEqual(await mendJob(bench.redis, gone), ['ats']);
    const { defa, ...rest } = await bench.redis.hgetall(`${queueKey}gone`);
    assert.match(defa ?? '', /^invalid-field: ats/);
    assert.deepEqual(rest, { ats: '0' });
  });

  test('is stored although its options are odd', async () => {
    const job = await bench.addPut(putOf('odd'), 'odd');
    await bench.redis.hset(`${queueKey}odd`, 'opts', '{"parent":7,"backoff":{"type":7},"attempts":"many"}');
    bench.run();
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.deepEqual([...shard.stored.keys()], ['odd']);
  });

  test('is stored although the repetition that it names cannot be scheduled', async () => {
    const job = await bench.addPut(putOf('repeated'), 'repeated');
    await bench.redis.hset(`${queueKey}repeated`, 'rjk', 'nobody knows');
    bench.run();
    await bench.nextEvent(bench.puts, 'completed', String(job.id));
    assert.deepEqual([...shard.stored.keys()], ['repeated']);
  });
});
