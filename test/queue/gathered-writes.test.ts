import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { awaitReady, dropConnection, openConnection, type RedisConnection } from '../../src/queue/connection.ts';
import { gatherWrites } from '../../src/queue/gathered-writes.ts';
import { startRedis } from '../redis/redis-server.ts';

const plain = { username: '', password: '', tlsCaFile: '' };
const commandCount = 100;

/** How often Redis reads from its connections while a turn of the event loop sends so many commands. */
async function readsOf(redis: RedisConnection): Promise<number> {
  const before = await readCount(redis);
  const answers = await Promise.all(Array.from({ length: commandCount }, () => redis.incr('count')));
  assert.equal(new Set(answers).size, commandCount);
  return (await readCount(redis)) - before;
}

async function readCount(redis: RedisConnection): Promise<number> {
  const match = /total_reads_processed:(\d+)/.exec(await redis.info('stats'));
  return Number(match?.[1]);
}

test('what a turn of the event loop sends leaves in one write, also after Redis was gone', async () => {
  const server = await startRedis();
  const redis = gatherWrites(openConnection({ ...plain, url: server.url }, 'test'));
  redis.on('error', () => {});
  await awaitReady(redis, server.url, 5000);
  const few = await readsOf(redis);
  assert.ok(few <= 3, `${few} reads for ${commandCount} commands`);
  const lost = once(redis, 'close');
  await server.kill();
  await lost;
  const waiting = Array.from({ length: commandCount }, () => redis.incr('again'));
  await server.restart();
  assert.equal(Math.max(...(await Promise.all(waiting))), commandCount);
  assert.ok((await readsOf(redis)) <= 3);
  dropConnection(redis);
  await server.stop();
});
