/**
 * A producer and reader made from docs/PROTOCOL.md alone: its examples are posted as they stand, to queues and keys
 * named as it says, with bare BullMQ and Redis. Nothing of the project's own names or encoders is used on this side.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { startService } from '../../src/service/service.ts';
import { startRedis } from '../redis/redis-server.ts';

const text = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const prefix = 'permafrost';

type Job = Readonly<Record<string, unknown>>;

/** The examples of a kind, as the document has them. */
function examples(kind: string): readonly Job[] {
  return [...text.matchAll(new RegExp(`^\`\`\`json ${kind}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, json = '']) =>
    JSON.parse(json),
  );
}

function listNamed(name: string): string {
  return `permafrost:{main-reply-${name}}:list`;
}

async function messageOn(redis: Redis, list: string): Promise<Job> {
  const [, message] = (await redis.blpop(list, 30)) ?? [];
  assert.ok(message !== undefined, `no message on ${list}`);
  return JSON.parse(message);
}

test('jobs built from the document alone are stored, acknowledged and answered', async () => {
  const server = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-document-'));
  const flags = { 'redis-url': server.url, 'data-dir': directory, 'http-port': '0', 'disk-pause-below-bytes': '0' };
  const service = await startService(loadConfig({ flags }), { logger: createLogger('silent', {}) });
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  const connections = [redis, redis.duplicate(), redis.duplicate(), redis.duplicate()] as const;
  const events = new QueueEvents('{main-0}-put', { connection: connections[1], prefix });
  const puts = new Queue('{main-0}-put', { connection: connections[2], prefix });
  const lookups = new Queue('{main-0}-lookup', { connection: connections[3], prefix });
  try {
    const [smallest, whole] = examples('put-job');
    await events.waitUntilReady();
    const completed = once(events, 'completed');
    await puts.add('put', smallest);
    await completed;

    await puts.add('put', { ...whole, replyTo: { list: 'from-the-document' } });
    const acknowledged = await messageOn(redis, listNamed('from-the-document'));
    const [receipt] = acknowledged.receipts as readonly { readonly id: string; readonly records: readonly Job[] }[];
    assert.equal(receipt?.id, whole?.id);
    assert.deepEqual(
      receipt?.records.map(({ outcome }) => outcome),
      ['unchanged', 'stored'],
    );

    const [lookup] = examples('lookup-job');
    await lookups.add('lookup', { ...lookup, replyTo: { list: 'answers' } });
    const reply = await messageOn(redis, listNamed('answers'));
    const [result] = reply.results as readonly Job[];
    assert.deepEqual([reply.id, reply.part, reply.last], [lookup?.id, 0, true]);
    assert.deepEqual([result?.key, result?.outcome, result?.value], ['order/17', 'found', 'eyJ0b3RhbCI6MTI5MH0=']);
  } finally {
    await service.stop();
    for (const open of [events, puts, lookups]) await open.close();
    for (const connection of connections) connection.disconnect();
    await server.stop();
    await rm(directory, { recursive: true });
  }
});
