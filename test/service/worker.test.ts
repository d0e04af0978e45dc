import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Producer } from './producer.ts';
import { WorkerProcess } from './worker-process.ts';

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
    // A line that a busy pipe held back may come behind it.
    const ended = second.lines.filter(({ event }) => event === 'worker-ended');
    assert.match(JSON.stringify(ended), /owned by process \d+/);
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
