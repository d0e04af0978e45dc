import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { leaseKey, parseArchiveName, topologyKey } from '../../src/protocol/names.ts';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Producer } from './producer.ts';

const logger = createLogger('silent', {});
const archive = parseArchiveName('main');

suite('a worker of several shards', () => {
  let server: RedisServer;
  let directory: string;
  const producers: Producer[] = [];
  const running: Service[] = [];

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'permafrost-shards-'));
  });
  afterEach(async () => {
    for (const service of running.splice(0)) await service.stop();
    const [any] = producers;
    await any?.redis.flushall();
    for (const producer of producers.splice(0)) await producer.close();
    await rm(directory, { recursive: true });
  });

  async function start(flags: Readonly<Record<string, string>>): Promise<Service> {
    const usual = { 'redis-url': server.url, 'data-dir': directory, 'http-port': '0', 'disk-pause-below-bytes': '0' };
    const small = { 'engine-table-initial-size': '64' };
    const service = await startService(loadConfig({ flags: { ...usual, ...small, ...flags } }), { logger });
    running.push(service);
    return service;
  }

  function producerOf(shard: number, url = server.url): Producer {
    const producer = new Producer(url, 'main', `test-${shard}`, shard);
    producers.push(producer);
    return producer;
  }

  async function page(service: Service, path: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(`http://${service.http.host}:${service.http.port}${path}`);
    return { status: answer.status, text: await answer.text() };
  }

  test('archives and answers for each of them, in a directory for each', async () => {
    const service = await start({ shards: '0,2' });
    const [first, third] = [producerOf(0), producerOf(2)];
    await first.put('p1', { a: 'one' });
    await third.put('p2', { b: 'two', c: 'three' });
    await first.receipts(new Set(['p1']));
    await third.receipts(new Set(['p2']));
    assert.deepEqual(await first.read(['a', 'b']), new Map([['a', 'one']]));
    assert.deepEqual(
      await third.read(['a', 'b', 'c']),
      new Map([
        ['b', 'two'],
        ['c', 'three'],
      ]),
    );
    assert.deepEqual(
      service.status().shards.map(({ shard, records }) => [shard, records]),
      [
        [0, 1],
        [2, 2],
      ],
    );
    assert.deepEqual((await readdir(directory)).sort(), ['shard-0000', 'shard-0002']);
    const { text } = await page(service, '/metrics');
    assert.match(text, /permafrost_archive_records_total\{outcome="stored",archive="main",shard="0"\} 1\n/);
    assert.match(text, /permafrost_archive_records_total\{outcome="stored",archive="main",shard="2"\} 2\n/);
    assert.deepEqual(await service.stop(), { clean: true, drained: true });
  });

  test('is not ready, and cannot go on, when one of them was taken over, and says which', async () => {
    const service = await start({ shards: '0-1', 'sync-interval-ms': '20' });
    const [first, second] = [producerOf(0), producerOf(1)];
    await second.redis.set(leaseKey(archive, 1), 'another worker');
    await second.put('p1', { a: 'one' });
    const failure = await service.failed;
    assert.match(failure.message, /^shard 1: /);
    const { status, text } = await page(service, '/readyz');
    const { reasons, shards } = JSON.parse(text);
    assert.deepEqual([status, reasons], [503, ['fenced']]);
    assert.partialDeepStrictEqual(shards, [
      { shard: 0, reasons: [] },
      { shard: 1, reasons: ['fenced'] },
    ]);
    await first.put('p2', { b: 'two' });
    await first.receipts(new Set(['p2']));
    assert.deepEqual(await service.stop(), { clean: true, drained: true }, 'the others end well');
  });

  test('says that records lie on a shard that no lookup asks, until the topology knows it', async () => {
    const service = await start({ shards: '0-1' });
    const second = producerOf(1);
    const warnings = async (): Promise<readonly string[]> => JSON.parse((await page(service, '/readyz')).text).warnings;
    assert.deepEqual(await warnings(), []);
    await second.put('p1', { a: 'one' });
    await second.receipts(new Set(['p1']));
    assert.match((await warnings()).join(), /shard 1 holds records.*permafrost topology grow 2/);
    await second.redis.set(topologyKey(archive), '{"v":1,"generations":[{"shards":2,"time":0}]}');
    await service.stop();
    const again = await start({ shards: '0-1' });
    assert.deepEqual(JSON.parse((await page(again, '/readyz')).text).warnings, []);
  });

  test('does not start without one of them, and gives the others back', async () => {
    const other = await start({ shard: '1' });
    await assert.rejects(start({ shards: '0-2' }), { code: 'owned', message: /shard-0001/ });
    await other.stop();
    await start({ shards: '0-2' });
  });

  test('stops all of them within one deadline while Redis is gone', async (t) => {
    const gone = await startRedis();
    t.after(() => gone.stop());
    const service = await start({ shards: '0-3', 'redis-url': gone.url, 'close-deadline-ms': '2000' });
    for (const shard of [0, 1, 2, 3]) {
      const producer = producerOf(shard, gone.url);
      await producer.put(`p${shard}`, { a: 'one' });
      await producer.receipts(new Set([`p${shard}`]));
    }
    await gone.kill();
    const startedMs = performance.now();
    assert.equal((await service.stop()).clean, true);
    assert.ok(performance.now() - startedMs < 2500);
    await gone.restart();
  });
});
