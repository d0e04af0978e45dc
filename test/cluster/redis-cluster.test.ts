import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Queue } from 'bullmq';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Terminal } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { Client } from '../../src/client/client.ts';
import { decodeCheckpointNotice } from '../../src/protocol/checkpoint-notice.ts';
import { checkpointKey, leaseKey, parseArchiveName, parseClientId, replyQueueName } from '../../src/protocol/names.ts';
import { dropConnection, openConnection, type RedisConnection, serversOf } from '../../src/queue/connection.ts';
import { Janitor } from '../../src/queue/janitor.ts';
import { readRedisFacts } from '../../src/queue/redis-check.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { recordedTerminal } from '../cli/manual-terminal.ts';
import { type RedisCluster, startCluster } from '../redis/redis-cluster.ts';
import { checkFound, Load } from './load.ts';

const archive = parseArchiveName('main');
const shards = [0, 1, 2, 3];

suite('an archive on a Redis Cluster', () => {
  let cluster: RedisCluster;
  let directory: string;
  let redis: RedisConnection;
  let service: Service;
  let client: Client;

  before(async () => {
    cluster = await startCluster(3);
    directory = await mkdtemp(join(tmpdir(), 'permafrost-cluster-'));
    const url = 'redis://unused';
    redis = openConnection({ url, username: '', password: '', tlsCaFile: '', clusterNodes: cluster.nodes }, 'test');
    redis.on('error', () => {});
    const flags = {
      // One node is enough to learn the others from.
      ...{ 'redis-cluster-nodes': cluster.nodes.split(',')[0] ?? '', 'data-dir': directory, 'http-port': '0' },
      ...{ shards: '0-3', 'disk-pause-below-bytes': '0', 'engine-table-initial-size': '64' },
      ...{ 'sync-interval-ms': '100', 'queue-lock-duration-ms': '2000', 'queue-stalled-interval-ms': '500' },
    };
    service = await startService(loadConfig({ flags }), { logger: createLogger('silent', {}) });
    await topology('grow', '4');
    const nodes = cluster.servers.map(({ port }) => ({ host: '127.0.0.1', port }));
    client = await Client.connect({ archive, redis: { nodes } });
  });
  after(async () => {
    await client?.close();
    await service?.stop();
    dropConnection(redis);
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  /** The command, at the cluster; gives what it prints. */
  async function topology(...words: readonly string[]): Promise<string> {
    const environment = { PERMAFROST_REDIS_CLUSTER_NODES: cluster.nodes };
    const recorded = recordedTerminal();
    const at: Terminal = { ...recorded, environment, clock: systemClock, interrupted: new AbortController().signal };
    assert.equal(await dispatch(['topology', ...words], commands, '0', at), 0, recorded.notes.text);
    return recorded.output.text;
  }

  async function published(shard: number): Promise<number | undefined> {
    return decodeCheckpointNotice(await redis.hgetall(checkpointKey(archive, shard)))?.records;
  }

  test('has its shards on all masters, and all keys of a shard on one', async () => {
    const masters = await Promise.all(shards.map((shard) => cluster.masterOf(leaseKey(archive, shard))));
    assert.equal(new Set(masters).size, 3);
    assert.equal(serversOf(redis).length, 3);
    assert.equal((await readRedisFacts(redis)).runId.split(',').length, 3);
    assert.equal((await readRedisFacts(redis)).appendOnly, true);
    assert.match(await topology('show'), /^ {2}3 +puts, lookups +alive/m);
  });

  test('archives, answers, and publishes its checkpoints', async () => {
    const records = Array.from({ length: 200 }, (_, index) => ({ key: `k${index}`, value: `v${index}` }));
    const receipt = await client.put(records);
    assert.equal(new Set(receipt.records.map(({ cursor }) => cursor.split(':')[0])).size, 4);
    const targets = receipt.records.flatMap(({ key, cursor }) => [key, { cursor }]);
    const answers = await client.lookupMany([...targets, 'none']);
    const values = answers.map((answer) => (answer.outcome === 'found' ? answer.value.toString() : answer.outcome));
    assert.deepEqual(values, [...records.flatMap(({ value }) => [value, value]), 'missing']);
    for (const { shard, records: count } of service.status().shards) {
      while ((await published(shard)) !== count);
    }
    const { port } = service.http;
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
  });

  test('goes on by itself when a master was away, and the cluster down with it', { timeout: 60_000 }, async () => {
    const load = new Load('cluster', client);
    load.start();
    await load.acknowledged(30);
    const master = await cluster.masterOf(leaseKey(archive, 0));
    await cluster.servers[master]?.kill();
    await cluster.brokenWithout(master);
    await cluster.servers[master]?.restart();
    await cluster.whole();
    await load.acknowledged(150);
    await load.stop();
    const expected = load.expectations();
    const answers = await client.lookupMany(expected.map(({ key }) => key));
    for (const [index, expectation] of expected.entries()) checkFound(expectation, answers[index]);
  });

  test('has the reply queues of dead clients removed, on whatever master they are', async () => {
    const dead = Array.from({ length: 9 }, (_, index) => parseClientId(`dead-${index}`));
    for (const id of dead) {
      const queue = new Queue(replyQueueName(archive, id), { connection: redis, prefix: 'permafrost' });
      await queue.add('reply', {});
      await queue.close();
    }
    const deps = { connection: redis, clock: systemClock, logger: silentLogger };
    const log = new ThrottledLog(silentLogger, systemClock);
    const janitor = new Janitor({ archive, intervalMs: 60_000, silenceMaxMs: 0 }, { ...deps, log });
    assert.equal(await janitor.sweep(), dead.length);
    janitor.stop();
  });

  test('stops well', async () => {
    assert.deepEqual(await service.stop(), { clean: true, drained: true });
    for (const shard of shards) assert.equal(await redis.exists(leaseKey(archive, shard)), 0);
  });
});
