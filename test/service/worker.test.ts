import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { checkpointKey, parseArchiveName } from '../../src/protocol/names.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Producer } from './producer.ts';
import { WorkerProcess } from './worker-process.ts';

function idsOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `p${index}`);
}

suite('worker process', () => {
  let server: RedisServer;
  let directory: string;
  let producer: Producer;
  let worker: WorkerProcess | undefined;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'permafrost-worker-'));
    producer = new Producer(server.url, 'main');
  });
  afterEach(async () => {
    await worker?.end('SIGKILL');
    worker = undefined;
    await producer.redis.flushall();
    await producer.close();
    await rm(directory, { recursive: true });
  });

  function launch(more: Readonly<Record<string, string>> = {}): WorkerProcess {
    return new WorkerProcess({
      PERMAFROST_REDIS_URL: server.url,
      PERMAFROST_DATA_DIR: directory,
      PERMAFROST_HTTP_PORT: '0',
      PERMAFROST_DISK_PAUSE_BELOW_BYTES: '0',
      PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '1024',
      PERMAFROST_QUEUE_LOCK_DURATION_MS: '1000',
      PERMAFROST_QUEUE_STALLED_INTERVAL_MS: '200',
      ...more,
    });
  }

  /** Records in the archive, as the last checkpoint of a worker that ended well says. */
  async function publishedRecords(): Promise<number> {
    const { records } = await producer.redis.hgetall(checkpointKey(parseArchiveName('main'), 0));
    return Number(records);
  }

  async function assertReadable(ids: readonly string[]): Promise<void> {
    const texts = await producer.read(ids.map((id) => `key ${id}`));
    assert.deepEqual(texts, new Map(ids.map((id) => [`key ${id}`, `text ${id}`])));
  }

  test('ends with 0 on SIGTERM in the middle of a full queue, loses no receipt and leaves no job behind', async () => {
    const ids = idsOf(600);
    worker = launch();
    await worker.logged('worker-ready');
    await producer.putMany(ids);
    const received = new Set(await producer.someReceipts());
    assert.equal(await worker.end('SIGTERM'), 0);
    assert.equal(await producer.puts.getActiveCount(), 0, 'every job is done or back in the queue');
    worker = launch();
    await producer.receipts(new Set(ids.filter((id) => !received.has(id))));
    await assertReadable(ids);
    assert.equal(await worker.end('SIGTERM'), 0);
    assert.equal(await publishedRecords(), ids.length);
  });

  test('loses no receipt and stores nothing twice over kills at any moment', async () => {
    const ids = idsOf(900);
    const received = new Set<string>();
    await producer.putMany(ids);
    for (let kill = 1; kill <= 4; kill += 1) {
      worker = launch();
      while (received.size < kill * 150) for (const id of await producer.someReceipts()) received.add(id);
      await worker.end('SIGKILL');
    }
    worker = launch();
    await producer.receipts(new Set(ids.filter((id) => !received.has(id))));
    await assertReadable(ids);
    assert.equal(await worker.end('SIGTERM'), 0);
    assert.equal(await publishedRecords(), ids.length);
  });

  test('stores nothing twice after it was stopped for longer than its locks last', async () => {
    const ids = idsOf(300);
    worker = launch();
    await worker.logged('worker-ready');
    await producer.putMany(ids);
    const received = new Set(await producer.someReceipts());
    worker.signal('SIGSTOP');
    const other = new WorkerProcess({
      PERMAFROST_REDIS_URL: server.url,
      PERMAFROST_DATA_DIR: directory,
      PERMAFROST_HTTP_PORT: '0',
    });
    assert.equal(await other.exited(), 1, 'the directory is still owned by the worker that hangs');
    await waitForExpiry(1000);
    worker.signal('SIGCONT');
    await producer.receipts(new Set(ids.filter((id) => !received.has(id))));
    await assertReadable(ids);
    assert.equal(await worker.end('SIGTERM'), 0);
    assert.equal(await publishedRecords(), ids.length);
  });

  /** Lets so much time pass by Redis's own clock. */
  async function waitForExpiry(ms: number): Promise<void> {
    const waiting = producer.redis.duplicate();
    await waiting.blpop('nothing comes here', ms / 1000);
    waiting.disconnect();
  }

  test('stops well although one signal comes twice', async () => {
    worker = launch();
    await worker.logged('worker-ready');
    worker.signal('SIGINT');
    await worker.logged('worker-stopping');
    assert.equal(await worker.end('SIGINT'), 0);
    assert.ok(worker.lines.some(({ event }) => event === 'worker-stopped'));
  });

  test('logs no id that a producer chose, at any length', async () => {
    worker = launch();
    await worker.logged('worker-ready');
    const jobId = `a secret key ${'x'.repeat(300_000)}`;
    const data = { v: 1, id: 'bad', replyTo: { list: 'test' }, records: [] };
    await producer.puts.add('put', data, { jobId });
    await producer.next();
    await worker.end('SIGTERM');
    assert.ok(worker.lines.some(({ event }) => event === 'put-refused'));
    assert.doesNotMatch(JSON.stringify(worker.lines), /secret/);
  });

  test('ends with 1 and says why when another worker owns its directory', async () => {
    worker = launch();
    await worker.logged('worker-ready');
    const second = launch();
    assert.equal(await second.exited(), 1);
    assert.match(JSON.stringify(second.lines.at(-1)), /owned by process \d+/);
  });

  test('ends with 0 before its deadline while Redis is gone', async (t) => {
    const gone = await startRedis();
    t.after(() => gone.stop());
    worker = launch({ PERMAFROST_REDIS_URL: gone.url, PERMAFROST_CLOSE_DEADLINE_MS: '2000' });
    await worker.logged('worker-ready');
    await gone.kill();
    await worker.logged('redis-connection');
    const startedMs = performance.now();
    assert.equal(await worker.end('SIGTERM'), 0);
    assert.ok(performance.now() - startedMs < 3000);
    assert.partialDeepStrictEqual(
      worker.lines.find(({ event }) => event === 'worker-stopped'),
      { clean: true },
    );
  });

  test('ends with 1 when another worker has taken its shard over', async () => {
    worker = launch({ PERMAFROST_SYNC_INTERVAL_MS: '50' });
    await worker.logged('worker-ready');
    await producer.redis.set('permafrost:{main-0}:lease', 'somebody else');
    await producer.put('p1', { a: 'one' });
    assert.equal(await worker.exited(), 1);
    assert.ok(worker.lines.some(({ event }) => event === 'worker-fenced'));
  });

  test('ends at once on a signal during its start', async (t) => {
    const hung = await startRedis();
    t.after(() => hung.stop());
    process.kill(hung.pid, 'SIGSTOP');
    worker = launch({ PERMAFROST_REDIS_URL: hung.url, PERMAFROST_REDIS_START_TIMEOUT_MS: '60000' });
    await worker.logged('worker-starting');
    assert.equal(await worker.end('SIGTERM'), 0);
  });

  test('logs nothing but JSON lines, and no record', async () => {
    worker = launch();
    await worker.logged('worker-ready');
    await producer.put('p1', { 'a secret key': 'a secret text' });
    await producer.receipts(new Set(['p1']));
    await worker.end('SIGTERM');
    assert.doesNotMatch(JSON.stringify(worker.lines), /secret/);
  });
});
