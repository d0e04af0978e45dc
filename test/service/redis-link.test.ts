import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type LogFields, silentLogger } from '../../src/base/logger.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { loadConfig } from '../../src/service/config.ts';
import { RedisLink, redisLookIntervalMs } from '../../src/service/redis-link.ts';
import { startRedis } from '../redis/redis-server.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

/** A link to a Redis of its own whose time stands still, and what it says of how that Redis is set up. */
async function linked(context: TestContext) {
  const server = await startRedis();
  const said = new EventEmitter();
  const clock = new ManualClock();
  const emit = (fields: LogFields, event: string): void => void said.emit(event, fields.code);
  const logger = { ...silentLogger, info: emit, error: emit };
  const config = loadConfig({ flags: { 'redis-url': server.url } });
  const link = new RedisLink(config, { clock, logger, log: new ThrottledLog(logger, clock) });
  context.after(async () => {
    link.close();
    await server.stop();
    assert.equal(clock.pendingTimers, 0);
  });
  await link.start(() => {});
  const set = (name: string, value: string) => link.connection.config('SET', name, value);
  /** What is said next under this name, after a minute. */
  const saidAfterAMinute = async (event: string): Promise<unknown> => {
    const next = once(said, event);
    clock.advance(redisLookIntervalMs);
    const [code] = await next;
    return code;
  };
  return { link, set, saidAfterAMinute };
}

test('a Redis that is set up otherwise while it runs is noticed within a minute, and so is its mending', async (context) => {
  const { link, set, saidAfterAMinute } = await linked(context);
  assert.deepEqual(link.warnings, []);
  await set('maxmemory-policy', 'allkeys-lru');
  assert.equal(await saidAfterAMinute('redis-unsuitable'), 'may-evict');
  assert.deepEqual(
    link.warnings?.map(({ code }) => code),
    ['may-evict'],
  );
  await set('maxmemory-policy', 'noeviction');
  await saidAfterAMinute('redis-suitable');
  assert.deepEqual(link.warnings, []);
});

test('what is wrong still is not said again each minute, and what is wrong besides is', async (context) => {
  const { link, set, saidAfterAMinute } = await linked(context);
  await set('maxmemory-policy', 'allkeys-lru');
  assert.equal(await saidAfterAMinute('redis-unsuitable'), 'may-evict');
  await set('appendonly', 'no');
  assert.equal(await saidAfterAMinute('redis-unsuitable'), 'no-append-only-file');
  assert.deepEqual(
    link.warnings?.map(({ code }) => code),
    ['may-evict', 'no-append-only-file'],
  );
});
