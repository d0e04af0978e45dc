import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Queue } from 'bullmq';
import { Client } from '../../src/client/client.ts';
import { heartbeatKey, replyQueueName } from '../../src/protocol/names.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import { replyParts } from '../../src/protocol/reply.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { clientOf, results, store } from './bare-worker.ts';
import { archive, assertFails, Fixture, until } from './client-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await Fixture.start({ appendOnly: 'no' });
});
afterEach(() => fixture.reset());
after(() => fixture.stop());

describe('put', () => {
  it('resolves with a cursor for each record when the receipt is there', async () => {
    const worker = await fixture.worker();
    const client = await fixture.client();
    const receipt = await client.put(
      [
        { key: 'a', value: 'text' },
        { key: 'b', value: Buffer.from([0, 255]) },
        { key: 'c', value: '\u0001'.repeat(1000) },
      ],
      { id: 'p-1', ifExists: 'keep', repeat: true },
    );
    assert.equal(receipt.id, 'p-1');
    assert.deepEqual(
      receipt.records.map(({ key, cursor, outcome }) => [key, cursor === worker.kept.get(key)?.cursor, outcome]),
      ['a', 'b', 'c'].map((key) => [key, true, 'stored']),
    );
    const [job] = worker.puts;
    assert.deepEqual(
      [job?.id, job?.ifExists, job?.repeat, job?.replyTo],
      ['p-1', 'keep', true, { kind: 'client', client: client.id }],
    );
    const payloads = job?.records.map(({ payload }) => payload);
    assert.deepEqual(payloads, [Buffer.from('text'), Buffer.from([0, 255]), Buffer.alloc(1000, 1)]);
  });

  it('rejects with the reason when the archive refuses it', async () => {
    await fixture.worker({
      put: (job, worker) => {
        const error = { code: 'limit-exceeded', message: 'too much', limit: 'valueBytesMax' };
        return worker.sendReceipts(clientOf(job), [{ id: job.id ?? '', shard: 0, error }]);
      },
    });
    const client = await fixture.client();
    const error = await assertFails('refused', client.put({ key: 'a', value: '' }));
    assert.deepEqual(error.details, { reason: 'limit-exceeded', limit: 'valueBytesMax' });
    assert.equal(error.retriable, false);
  });

  it('sends nothing if a record breaks a limit, and says which one', async () => {
    const client = await fixture.client({ limits: { valueBytesMax: 3, recordCountMax: 3, jobBytesMax: 2000 } });
    const key = 'k'.repeat(900);
    for (const [records, field] of [
      [
        [
          { key: 'a', value: 'ok' },
          { key: 'b', value: 'four' },
        ],
        'records[1].value',
      ],
      [[{ key: 'a\ud800', value: '' }], 'records[0].key'],
      [Array(4).fill({ key: 'a', value: '' }), 'records'],
      [
        [
          { key, value: '' },
          { key, value: '' },
        ],
        'records',
      ],
    ] as const) {
      await assert.rejects(
        client.put(records),
        (error) => error instanceof ProtocolError && error.details.field === field,
      );
    }
    await assert.rejects(client.put({ key: 'a', value: '' }, { id: 'no blanks' }), ProtocolError);
    assert.equal(await client.backlogCount(), 0);
  });

  it('rejects at its deadline, and drops a receipt that comes after', async () => {
    const clock = new ManualClock();
    const arrived = Promise.withResolvers<() => Promise<void>>();
    await fixture.worker({ put: (job, worker) => arrived.resolve(() => store(job, worker)) });
    const client = await fixture.client({}, { clock });
    const put = client.put({ key: 'a', value: '' }, { timeoutMs: 500 });
    const answerLate = await arrived.promise;
    clock.advance(499);
    assert.equal(client.pendingCount, 1);
    clock.advance(1);
    const error = await assertFails('deadline', put);
    assert.deepEqual([error.retriable, error.details.timeoutMs, client.pendingCount], [true, 500, 0]);
    await answerLate();
    await until(() => client.droppedCount === 1);
  });

  it('rejects when its signal is aborted, before or while it waits', async () => {
    const arrived = Promise.withResolvers<void>();
    await fixture.worker({ put: () => arrived.resolve() });
    const client = await fixture.client();
    const controller = new AbortController();
    const put = client.put({ key: 'a', value: '' }, { signal: controller.signal });
    await arrived.promise;
    controller.abort(new Error('enough'));
    const error = await assertFails('aborted', put);
    assert.equal((error.cause as Error).message, 'enough');
    await assertFails('aborted', client.put({ key: 'a', value: '' }, { signal: controller.signal }));
    assert.deepEqual([client.pendingCount, await client.backlogCount()], [0, 0]);
  });

  it('refuses a second put of an id that is pending, and more calls than allowed', async () => {
    const client = await fixture.client({ callCountMax: 2 });
    const first = assertFails('closed', client.put({ key: 'a', value: '' }, { id: 'same' }));
    await assertFails('duplicate-id', client.put({ key: 'a', value: '' }, { id: 'same' }));
    const third = assertFails('closed', client.lookup('a'));
    const error = await assertFails('too-many-calls', client.lookup('b'));
    assert.deepEqual(error.details, { limit: 'callCountMax', max: 2, found: 2 });
    await client.close();
    await Promise.all([first, third]);
  });

  it('goes to the shards of its keys, and is whole only when all have answered', async () => {
    const workers = await Promise.all([0, 1, 2].map((shard) => fixture.worker({ shard })));
    await fixture.topology(3);
    const client = await fixture.client();
    const records = Array.from({ length: 30 }, (_, index) => ({ key: `k${index}`, value: `${index}` }));
    const receipt = await client.put(records);
    for (const [index, { key, cursor }] of receipt.records.entries()) {
      assert.equal(key, `k${index}`);
      const shard = shardOf(storedKeyOf(key), 3);
      assert.equal(workers[shard]?.kept.get(key)?.cursor, cursor);
    }
    assert.ok(workers.every((worker) => worker.puts.length === 1));
    const found = await client.lookupMany([
      ...records.map(({ key }) => key),
      { cursor: receipt.records[7]?.cursor ?? '' },
    ]);
    const values = found.map((each) => (each.outcome === 'found' ? each.value.toString() : each.outcome));
    assert.deepEqual(values, [...records.map(({ value }) => value), '7']);
  });
});

describe('lookup', () => {
  it('finds by key and by cursor, and knows what is missing', async () => {
    await fixture.worker();
    const client = await fixture.client();
    const { records } = await client.put({ key: 'a', value: 'hello' });
    const cursor = records[0]?.cursor ?? '';
    const byKey = await client.lookup('a');
    assert.deepEqual([byKey?.key, byKey?.cursor, byKey?.value.toString()], ['a', cursor, 'hello']);
    const byCursor = await client.lookup({ cursor });
    assert.deepEqual([byCursor?.key, byCursor?.cursor, byCursor?.value.toString()], ['a', cursor, 'hello']);
    assert.equal(await client.lookup('b'), undefined);
    assert.equal((await client.lookup('a', { values: false }))?.value.length, 0);
    await assert.rejects(client.lookup({ cursor: 'nonsense' }), ProtocolError);
  });

  it('refuses a cursor of a shard that it does not know at once, and leaves nothing in Redis', async () => {
    await fixture.topology(2);
    const client = await fixture.client();
    const before = (await fixture.redis.keys('*')).sort();
    const cursor = `2:${'00'.repeat(20)}`;
    await assert.rejects(client.lookup({ cursor }), { code: 'invalid-cursor', message: /shard 2.*shards 0 to 1/ });
    assert.deepEqual((await fixture.redis.keys('*')).sort(), before);
  });

  it('names the deadline in whole milliseconds', async () => {
    const client = await fixture.client();
    const error = await assertFails('deadline', client.lookup('a', { timeoutMs: 20 }));
    assert.match(error.message, /within 20 ms/);
  });

  it('answers many in their order, in jobs of at most a hundred, keys and cursors mixed and repeated', async () => {
    const worker = await fixture.worker();
    const client = await fixture.client();
    const records = Array.from({ length: 120 }, (_, index) => ({ key: `k${index}`, value: `${index}` }));
    const receipt = await client.put(records);
    const targets = receipt.records.flatMap(({ key, cursor }) => [{ cursor }, key, 'none']);
    const answers = await client.lookupMany(targets);
    const expected = records.flatMap(({ value }) => [value, value, 'missing']);
    assert.deepEqual(
      answers.map((each) => (each.outcome === 'found' ? each.value.toString() : each.outcome)),
      expected,
    );
    assert.equal(worker.lookups.length, 4);
    assert.deepEqual(await client.lookupMany([]), []);
  });

  it('puts parts together that come in any order and more than once', async () => {
    let repeatedCount = 0;
    await fixture.worker({
      lookup: async (job, worker) => {
        const parts = [...replyParts(job.id, results(job, worker))];
        repeatedCount = parts.length - 2;
        for (const part of [...parts.slice(1).reverse(), ...parts.slice(2), ...parts.slice(0, 1)]) {
          await worker.sendReply(clientOf(job), part);
        }
      },
    });
    const client = await fixture.client();
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
    for (const key of keys) await client.put({ key, value: Buffer.alloc(50_000, key) });
    const answers = await client.lookupMany(keys);
    for (const [index, found] of answers.entries()) {
      assert.ok(found.outcome === 'found' && found.value.equals(Buffer.alloc(50_000, `k${index}`)));
    }
    assert.ok(repeatedCount > 1);
    await until(() => client.droppedCount === repeatedCount);
  });

  it('asks again for what did not fit into the reply, as long as that gets further', async () => {
    let asked = 0;
    await fixture.worker({
      lookup: async (job, worker) => {
        asked += 1;
        const all = results(job, worker).map((result, index) =>
          index < 2 && result.key !== 'huge' ? result : { ...result, outcome: 'too-large' as const, value: undefined },
        );
        for (const part of replyParts(job.id, all)) await worker.sendReply(clientOf(job), part);
      },
    });
    const client = await fixture.client();
    const keys = ['a', 'b', 'huge', 'c', 'd'];
    await client.put(keys.map((key) => ({ key, value: key })));
    const answers = await client.lookupMany(keys);
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      ['found', 'found', 'too-large', 'found', 'found'],
    );
    assert.equal(asked, 4);
    const error = await assertFails('lookup-failed', client.lookup('huge'));
    assert.deepEqual([error.details.outcome, error.retriable], ['too-large', false]);
  });

  it('tells the worker its deadline, and rejects at it', async () => {
    const clock = new ManualClock();
    const arrived = Promise.withResolvers<number | undefined>();
    await fixture.worker({ lookup: (job) => arrived.resolve(job.deadline) });
    const client = await fixture.client({}, { clock });
    const lookup = client.lookup('a', { timeoutMs: 750 });
    assert.equal(await arrived.promise, clock.wallMs() + 750);
    clock.advance(750);
    await assertFails('deadline', lookup);
  });

  it('rejects with the reason when the whole lookup is refused', async () => {
    await fixture.worker({
      lookup: (job, worker) => {
        const error = { code: 'unavailable', message: 'later' };
        return worker.sendReply(clientOf(job), { id: job.id, part: 0, last: true, results: [], error });
      },
    });
    const client = await fixture.client();
    const error = await assertFails('refused', client.lookup('a'));
    assert.deepEqual([error.details.reason, error.retriable], ['unavailable', true]);
  });

  it('rejects an answer that does not fit its question', async () => {
    await fixture.worker({
      lookup: (job, worker) => worker.sendReply(clientOf(job), { id: job.id, part: 0, last: true, results: [] }),
    });
    const client = await fixture.client();
    await assert.rejects(client.lookup('a'), ProtocolError);
  });
});

describe('the client', () => {
  it('drops and counts what it did not ask for, and what is not in the contract', async () => {
    const worker = await fixture.worker();
    const client = await fixture.client();
    await worker.sendReceipts(client.id, [{ id: 'never', shard: 0, commit: 1, records: [] }]);
    await worker.sendReply(client.id, { id: 'never', part: 0, last: true, results: [] });
    for (const message of [{}, { v: 2 }, [], 'text', { v: 1, receipts: 5 }])
      await worker.send(client.id, 'reply', message);
    await sendText(client, '{not json');
    await until(() => client.droppedCount === 8);
    await client.put({ key: 'a', value: 'still there' });
    assert.equal((await client.lookup('a'))?.value.toString(), 'still there');
  });

  it('keeps its heartbeat as long as it lives', async () => {
    const clock = new ManualClock();
    const client = await fixture.client({ name: 'shop' }, { clock });
    assert.match(client.id, /^shop-[0-9a-f]{12}$/);
    const key = heartbeatKey(archive, client.id);
    const ttlMs = await fixture.redis.pttl(key);
    assert.ok(ttlMs > 50_000 && ttlMs <= 60_000);
    await fixture.redis.del(key);
    clock.advance(20_000);
    await until(async () => (await fixture.redis.exists(key)) === 1);
    await client.close();
    assert.equal(clock.pendingTimers, 0);
  });

  it('leaves nothing in Redis and rejects what is pending when it is closed', async () => {
    const client = await fixture.client();
    const pending = [
      assertFails('closed', client.put({ key: 'a', value: '' })),
      assertFails('closed', client.lookup('a')),
    ];
    const closing = client.close();
    assert.equal(client.close(), closing);
    await Promise.all(pending);
    await closing;
    assert.deepEqual(await fixture.redis.keys(`*${client.id}*`), []);
    await assertFails('closed', client.put({ key: 'a', value: '' }));
    await assertFails('closed', client.lookup('a'));
    await assertFails('closed', client.putMany([]));
  });

  it('closes at the end of its scope', async () => {
    let id = '';
    {
      await using client = await Client.connect({ archive, redis: fixture.server.url });
      id = client.id;
      assert.equal((await fixture.redis.keys(`*${id}*:heartbeat`)).length, 1);
    }
    assert.deepEqual(await fixture.redis.keys(`*${id}*`), []);
  });

  it('refuses options that cannot be', async () => {
    const redis = fixture.server.url;
    for (const options of [{ putTimeoutMs: 1.5 }, { callCountMax: Number.NaN }]) {
      await assertFails('invalid-options', Client.connect({ archive, redis, ...options }));
    }
    await assert.rejects(Client.connect({ archive: '../etc', redis }), ProtocolError);
    await assert.rejects(Client.connect({ archive, redis, name: 'a:b' }), ProtocolError);
  });
});

/** Puts data that is no JSON on the client's reply queue, as no BullMQ client would. */
async function sendText(client: Client, text: string): Promise<void> {
  const name = replyQueueName(archive, client.id);
  const queue = new Queue(name, { connection: fixture.redis, prefix: 'permafrost' });
  await queue.pause();
  const job = await queue.add('reply', {});
  await fixture.redis.hset(`permafrost:${name}:${job.id}`, 'data', text);
  await queue.resume();
  await queue.close();
}
