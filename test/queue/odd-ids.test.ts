import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { receiptMessages } from '../../src/protocol/receipts.ts';
import { schema } from '../protocol/schemas.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { FakeShard } from './fake-shard.ts';
import { QueueBench } from './queue-bench.ts';

interface Message {
  /** Of receipts. */
  readonly receipts?: readonly { readonly id: string; readonly error?: { readonly code: string } }[];
  /** Of a reply. */
  readonly id?: string;
  readonly error?: { readonly code: string };
}

const usable = ['../x', '/etc/x', '..', '{x}:y', '__proto__', '"', "'", '\\', 'i'.repeat(128)];
/** An id that is refused, and the id under which that is told. */
const refused: readonly (readonly [sent: unknown, told: string, code: string])[] = [
  ['', '', 'invalid-field'],
  ['a b', 'a b', 'invalid-field'],
  ['a\0b', 'a\0b', 'invalid-field'],
  ['a\nb', 'a\nb', 'invalid-field'],
  ['ünï', 'ünï', 'invalid-field'],
  ['\ud800', '\ud800', 'invalid-field'],
  ['i'.repeat(129), 'i'.repeat(128), 'limit-exceeded'],
  ['ü'.repeat(100_000), 'ü'.repeat(128), 'limit-exceeded'],
  [17, '', 'invalid-field'],
  [undefined, '', 'missing-field'],
];

suite('a job whose id is odd', () => {
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
    bench = new QueueBench(server, shard).run();
  });
  afterEach(async () => {
    await bench.redis.flushall();
    await bench.close();
  });

  async function next(): Promise<Message> {
    return (await bench.nextOnList('proofs')) as Message;
  }

  function jobOf(id: unknown, rest: object): object {
    return { v: 1, id, replyTo: { list: 'proofs' }, ...rest };
  }

  test('has a receipt, if it is a put of an id that can be used', async () => {
    for (const id of usable) {
      await bench.addPut(jobOf(id, { records: [{ key: id, text: 'payload' }] }));
      const [receipt] = (await next()).receipts ?? [];
      assert.deepEqual([receipt?.id, receipt?.error], [id, undefined]);
    }
    assert.deepEqual([...shard.stored.keys()], usable);
  });

  test('has an error receipt under the id as it was sent, if it is a put of one that cannot', async () => {
    const isReceipts = schema('receipts');
    for (const [sent, told, code] of refused) {
      const job = await bench.addPut(jobOf(sent, { records: [{ key: 'a', text: 'payload' }] }));
      const message = await next();
      const [receipt] = message.receipts ?? [];
      assert.deepEqual([receipt?.id, receipt?.error?.code], [told, code]);
      assert.ok(isReceipts(message), JSON.stringify(isReceipts.errors));
      await bench.nextEvent(bench.puts, 'failed', String(job.id));
    }
    assert.equal(shard.requests.length, 0);
    const stored = { id: 'a b', shard: 0, commit: 1, records: [] };
    for (const message of receiptMessages([stored])) assert.equal(isReceipts(message), false);
  });

  test('has a reply under the id as it was sent, if it is a lookup of one that cannot be used', async () => {
    const isReply = schema('reply');
    for (const [sent, told, code] of refused) {
      const job = await bench.addLookup(jobOf(sent, { keys: ['a'] }));
      const message = await next();
      assert.deepEqual([message.id, message.error?.code], [told, code]);
      assert.ok(isReply(message), JSON.stringify(isReply.errors));
      assert.equal(isReply({ ...message, id: 'a b', error: undefined }), false);
      await bench.nextEvent(bench.lookups, 'failed', String(job.id));
    }
  });

  test('is stored whatever its name in the queue is', async () => {
    for (const jobId of ['../x', '/etc/x', 'a\0b', 'a b', 'ünï', '__proto__', 'i'.repeat(100_000)]) {
      await bench.addPut(jobOf('p1', { records: [{ key: jobId.slice(0, 20), text: 'payload' }] }), jobId);
      const [receipt] = (await next()).receipts ?? [];
      assert.deepEqual([receipt?.id, receipt?.error], ['p1', undefined]);
      await bench.nextEvent(bench.puts, 'completed', jobId);
    }
  });
});
