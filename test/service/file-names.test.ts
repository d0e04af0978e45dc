import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { startService } from '../../src/service/service.ts';
import { startRedis } from '../redis/redis-server.ts';
import { Producer } from './producer.ts';

const hostile = ['../planted', '../../planted', '/planted', 'a/../../planted', '..', 'C:\\planted', 'shard-0001'];

test('no key of a job gets into the name of a file, nor out of the directory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'permafrost-names-'));
  mkdirSync(join(directory, 'data'));
  const server = await startRedis();
  const own = { 'redis-url': server.url, 'data-dir': join(directory, 'data'), 'http-port': '0' };
  const config = loadConfig({ flags: { ...own, 'engine-table-initial-size': '64', 'disk-pause-below-bytes': '0' } });
  const service = await startService(config, { logger: createLogger('silent', {}) });
  const producer = new Producer(server.url, 'main');
  try {
    await producer.put('p1', Object.fromEntries(hostile.map((name) => [name, 'planted'])));
    await producer.receipts(new Set(['p1']));
    assert.equal((await producer.read(hostile)).size, hostile.length);
  } finally {
    await producer.close();
    await service.stop();
    await server.stop();
  }
  assert.deepEqual(readdirSync(directory), ['data']);
  assert.deepEqual(readdirSync(join(directory, 'data')), ['shard-0000']);
  const files = readdirSync(join(directory, 'data'), { recursive: true, encoding: 'utf8' });
  assert.ok(files.length > 5, 'the shard has files');
  assert.deepEqual(
    files.filter((file) => /planted|0001|:/.test(file)),
    [],
  );
  rmSync(directory, { recursive: true });
});
