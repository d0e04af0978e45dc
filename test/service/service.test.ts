import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { checkpointKey, checkpointsKey, parseArchiveName } from '../../src/protocol/names.ts';
import { type Config, loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { type Service, type ShardStatus, startService } from '../../src/service/service.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Producer } from './producer.ts';

const logger = createLogger('silent', {});

suite('service', () => {
  let server: RedisServer;
  let directory: string;
  let producer: Producer;
  const running: Service[] = [];

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'permafrost-service-'));
    producer = new Producer(server.url, 'main');
  });
  afterEach(async () => {
    for (const service of running.splice(0)) await service.stop();
    await producer.redis.flushall();
    await producer.close();
    await rm(directory, { recursive: true });
  });

  function configOf(flags: Readonly<Record<string, string>> = {}): Config {
    const small = { 'engine-table-initial-size': '64', 'disk-pause-below-bytes': '0' };
    return loadConfig({
      flags: { 'redis-url': server.url, 'data-dir': directory, 'http-port': '0', ...small, ...flags },
    });
  }

  async function start(flags?: Readonly<Record<string, string>>): Promise<Service> {
    const service = await startService(configOf(flags), { logger });
    running.push(service);
    return service;
  }

  function statusOf(service: Service, shard = 0): ShardStatus {
    const status = service.status().shards.find((each) => each.shard === shard);
    assert.ok(status !== undefined, `shard ${shard} is this worker's`);
    return status;
  }

  async function page(service: Service, path: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(`http://${service.http.host}:${service.http.port}${path}`);
    return { status: answer.status, text: await answer.text() };
  }

  test('archives what is put, answers what is looked up, and finds it again after a restart', async () => {
    const first = await start();
    await producer.put('p1', { a: 'one', b: 'two' });
    await producer.receipts(new Set(['p1']));
    assert.deepEqual(
      await producer.read(['a', 'b', 'c']),
      new Map([
        ['a', 'one'],
        ['b', 'two'],
      ]),
    );
    assert.deepEqual(await first.stop(), { clean: true, drained: true });
    const second = await start();
    assert.deepEqual(
      await producer.read(['a', 'b']),
      new Map([
        ['a', 'one'],
        ['b', 'two'],
      ]),
    );
    const { records, epoch } = statusOf(second);
    assert.equal(records, 2);
    assert.ok(epoch >= 2);
  });

  test('publishes its newest checkpoint when it stops', async () => {
    const service = await start();
    await producer.put('p1', { a: 'one' });
    await producer.receipts(new Set(['p1']));
    await service.stop();
    const published = await producer.redis.hgetall(checkpointKey(parseArchiveName('main'), 0));
    assert.equal(published.epoch, String(statusOf(service).epoch));
    assert.equal(published.records, '1');
  });

  test('tells a Redis that has lost everything what is durable', async () => {
    await start();
    await producer.redis.flushall();
    await server.restart();
    const archive = parseArchiveName('main');
    const history = await producer.redis.xread('BLOCK', 10_000, 'STREAMS', checkpointsKey(archive, 0), '0');
    assert.equal(history?.[0]?.[1].length, 1);
    assert.equal((await producer.redis.hgetall(checkpointKey(archive, 0))).epoch, '1');
  });

  test('is ready when it serves, and says what is wrong with its Redis', async (t) => {
    const odd = await startRedis({ appendOnly: 'no', evictionPolicy: 'allkeys-lru' });
    t.after(() => odd.stop());
    const service = await start({ 'redis-url': odd.url });
    const ready = await page(service, '/readyz');
    assert.equal(ready.status, 200);
    const { warnings } = JSON.parse(ready.text);
    assert.match(warnings.join('\n'), /noeviction[\s\S]*appendonly/);
    await odd.kill();
    const gone = await page(service, '/readyz');
    assert.deepEqual([gone.status, JSON.parse(gone.text).reasons], [503, ['redis-unreachable']]);
    assert.equal((await page(service, '/healthz')).status, 200);
    assert.equal((await page(service, '/metrics')).status, 200);
    await odd.restart();
    await service.stop();
  });

  test('counts what it does', async () => {
    const service = await start();
    await producer.put('p1', { a: 'one' });
    await producer.receipts(new Set(['p1']));
    await producer.read(['a', 'b']);
    const { text } = await page(service, '/metrics');
    assert.match(text, /permafrost_archive_records_total\{outcome="stored",archive="main",shard="0"\} 1/);
    assert.match(text, /permafrost_lookup_results_total\{outcome="missing",archive="main",shard="0"\} 1/);
    assert.match(text, /permafrost_commit_duration_seconds_count\{archive="main",shard="0"\} [1-9]/);
    assert.match(text, /permafrost_unsynced_oldest_age_seconds\{archive="main",shard="0"\} 0\.\d+/);
  });

  test('fetches no puts while the disk is low, and answers lookups', async () => {
    const enough = { 'disk-pause-below-bytes': String(2 ** 49), 'disk-resume-above-bytes': String(2 ** 49) };
    const service = await start(enough);
    await producer.put('p1', { a: 'one' });
    assert.deepEqual(await producer.read(['a']), new Map());
    assert.equal(await producer.puts.getWaitingCount(), 1);
    assert.deepEqual(JSON.parse((await page(service, '/readyz')).text).pauses, ['low-disk']);
  });

  test('stores a job that was delivered before only once', async () => {
    const service = await start();
    await producer.put('p1', { a: 'one' });
    await producer.receipts(new Set(['p1']));
    const replyTo = { list: 'test' };
    const again = { v: 1, id: 'p1', repeat: true, replyTo, records: [{ key: 'a', text: 'one' }] };
    await producer.puts.add('put', again);
    const message = await producer.next();
    assert.partialDeepStrictEqual(message, {
      kind: 'receipts',
      receipts: [{ id: 'p1', records: [{ outcome: 'unchanged' }] }],
    });
    assert.equal(statusOf(service).records, 1);
  });

  test('stores a job once that a Redis delivers anew which knows no checkpoint of the shard', async () => {
    await start();
    await producer.put('p1', { a: 'one' });
    await producer.receipts(new Set(['p1']));
    await running.pop()?.stop();
    await producer.redis.flushall();
    await producer.put('p1', { a: 'one' });
    const service = await start();
    assert.partialDeepStrictEqual(await producer.next(), {
      kind: 'receipts',
      receipts: [{ id: 'p1', records: [{ outcome: 'unchanged' }] }],
    });
    assert.equal(statusOf(service).records, 1);
  });

  test('answers the lookups in hand before the shard closes', async () => {
    const service = await start();
    const texts = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 'x'.repeat(1000)]));
    await producer.put('p1', texts);
    await producer.receipts(new Set(['p1']));
    for (let count = 0; count < 100; count += 1) await producer.lookup(`q${count}`, Object.keys(texts));
    await producer.next();
    assert.deepEqual(await service.stop(), { clean: true, drained: true });
    assert.equal(await producer.lookups.getActiveCount(), 0);
    for (let left = await producer.pending(); left > 0; left -= 1) {
      const message = await producer.next();
      assert.ok(message.kind === 'reply' && message.reply.results.every(({ outcome }) => outcome === 'found'));
    }
  });

  test('stops within its deadline, and well, while Redis is gone', async (t) => {
    const gone = await startRedis();
    t.after(() => gone.stop());
    const service = await start({ 'redis-url': gone.url, 'close-deadline-ms': '2000' });
    const other = new Producer(gone.url, 'main');
    t.after(() => other.close());
    await other.put('p1', { a: 'one' });
    await other.receipts(new Set(['p1']));
    const lost = once(other.redis, 'close');
    await gone.kill();
    await lost;
    const startedMs = performance.now();
    assert.equal((await service.stop()).clean, true);
    assert.ok(performance.now() - startedMs < 2500);
  });

  test('does not wait for a Redis that is gone with nothing in hand', async (t) => {
    const gone = await startRedis();
    t.after(() => gone.stop());
    const service = await start({ 'redis-url': gone.url, 'close-deadline-ms': '600000' });
    await gone.kill();
    for (let reasons: string[] = []; reasons.length === 0; ) {
      reasons = JSON.parse((await page(service, '/readyz')).text).reasons;
    }
    const startedMs = performance.now();
    assert.deepEqual(await service.stop(), { clean: true, drained: true });
    assert.ok(performance.now() - startedMs < 60_000);
  });

  suite('refuses to start', () => {
    const refusals: readonly (readonly [string, () => Promise<Readonly<Record<string, string>>>, object])[] = [
      [
        'without a Redis, and says where it looked',
        async () => ({ 'redis-url': 'redis://user:secret@127.0.0.1:1', 'redis-start-timeout-ms': '200' }),
        { code: 'redis-unreachable', message: /no Redis at redis:\/\/user:\*\*\*@127\.0\.0\.1:1 within 200 ms/ },
      ],
      [
        'on a directory that another worker owns',
        async () => {
          await start();
          return {};
        },
        { code: 'owned', message: /owned by process \d+/ },
      ],
      [
        'on an address that is taken',
        async () => ({ 'http-port': String((await start({ 'data-dir': join(directory, 'a') })).http.port) }),
        { code: 'http-address', message: /http\.port/ },
      ],
      [
        'on an empty volume of a shard that Redis knows',
        async () => {
          await (await start()).stop();
          return { 'data-dir': join(directory, 'empty') };
        },
        { code: 'volume-empty', message: /trust-volume/ },
      ],
    ];
    for (const [what, flags, expected] of refusals) {
      test(what, async () => {
        const given = await flags();
        await assert.rejects(start(given), expected);
      });
    }

    test('but not when the operator trusts the volume', async () => {
      await (await start()).stop();
      const service = await start({ 'data-dir': join(directory, 'empty'), 'trust-volume': 'true' });
      await producer.put('p1', { a: 'one' });
      await producer.receipts(new Set(['p1']));
      assert.equal(statusOf(service).records, 1);
      await service.stop();
      const again = await start({ 'data-dir': join(directory, 'empty') });
      assert.equal(statusOf(again).records, 1, 'Redis knows it from then on');
    });
  });
});
