import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { archiveAddress } from '../../src/cli/redis-address.ts';
import { Client } from '../../src/client/client.ts';
import { type Config, loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { startService } from '../../src/service/service.ts';
import { runHere } from '../cli/run-here.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';

const logger = createLogger('silent', {});

/** The rules in docs/OPERATIONS.md, by user. */
const rules = new Map(
  [
    ...readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8').matchAll(
      /^ACL SETUSER (\w+) (.*)$/gm,
    ),
  ].map(([, user = '', text = '']) => [user, text]),
);

suite('Redis with users', () => {
  const directory = mkdtempSync(join(tmpdir(), 'permafrost-users-'));
  let server: RedisServer;
  let admin: Redis;
  const opened: Redis[] = [];

  before(async () => {
    server = await startRedis();
    admin = new Redis(server.url);
    assert.deepEqual([...rules.keys()], ['permafrost_worker', 'permafrost_client'], 'the documented users');
    for (const [user, text] of rules) await admin.call('ACL', ['SETUSER', user, ...text.split(' ')]);
  });
  after(async () => {
    for (const redis of [admin, ...opened]) redis.disconnect();
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  function configOf(user: string): Config {
    const password = /(?<=>)\S+/.exec(rules.get(user) ?? '')?.[0] ?? '';
    const small = { 'engine-table-initial-size': '64', 'disk-pause-below-bytes': '0', 'sync-interval-ms': '50' };
    const own = { 'redis-url': server.url, 'redis-username': user, 'redis-password': password };
    return loadConfig({ flags: { ...own, 'data-dir': directory, 'http-port': '0', ...small } });
  }

  /** What Redis refused, as its log of refusals has it. */
  async function refusals(): Promise<readonly string[]> {
    const entries = (await admin.call('ACL', ['LOG'])) as readonly (readonly string[])[];
    return entries.map((entry) => entry.join(' '));
  }

  test('worker, client and command line do all that they do with the rights that the documentation gives them', async () => {
    const service = await startService(configOf('permafrost_worker'), { logger });
    const config = configOf('permafrost_client');
    const client = await Client.connect({ archive: 'main', redis: archiveAddress(config) });
    try {
      await client.put({ key: 'a', value: 'one' });
      await client.putMany([{ key: 'b', value: 'two' }]);
      assert.equal((await client.lookup('a'))?.value.toString(), 'one');
      const environment = {
        PERMAFROST_REDIS_URL: config.redis.url,
        PERMAFROST_REDIS_USERNAME: config.redis.username,
        PERMAFROST_REDIS_PASSWORD: config.redis.password,
      };
      for (const words of [
        ['get', 'b'],
        ['topology', 'show'],
      ]) {
        assert.equal((await runHere(words, environment)).status, 0, words.join(' '));
      }
    } finally {
      await client.close();
      assert.deepEqual(await service.stop(), { clean: true, drained: true });
    }
    assert.deepEqual(await refusals(), []);
  });

  test('these rights reach no other keys, no other channels, and nothing that endangers the server', async () => {
    for (const user of rules.keys()) {
      const { username, password } = configOf(user).redis;
      const redis = new Redis(server.url, { username, password });
      opened.push(redis);
      for (const [command, ...args] of [
        ['GET', 'other'],
        ['SET', 'permafros', '1'],
        ['SUBSCRIBE', 'other'],
        ['FLUSHALL'],
        ['KEYS', '*'],
        ['CONFIG', 'GET', '*'],
        ['ACL', 'LIST'],
        ['SHUTDOWN'],
        ['EVAL', "return redis.call('get', 'other')", '0'],
      ] as const) {
        await assert.rejects(redis.call(command, args), /NOPERM|can't access/, `${user}: ${command}`);
      }
    }
  });
});
