import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { recordedTerminal } from '../cli/manual-terminal.ts';
import { startRedis } from '../redis/redis-server.ts';
import { Producer } from './producer.ts';
import { WorkerProcess } from './worker-process.ts';

const sectionCount = 4;

test('a worker that meets rot while it scrubs tells it, goes on, and shows its last scrub and backup', async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-scrubbed-'));
  t.after(() => rm(directory, { recursive: true }));
  const settings = {
    ...{ PERMAFROST_REDIS_URL: server.url, PERMAFROST_DATA_DIR: join(directory, 'data'), PERMAFROST_HTTP_PORT: '0' },
    ...{ PERMAFROST_ENGINE_VALUE_TARGET_SIZE: '1024', PERMAFROST_SYNC_INTERVAL_MS: '20' },
    ...{ PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '64', PERMAFROST_DISK_PAUSE_BELOW_BYTES: '0' },
    PERMAFROST_SCRUB_INTERVAL_S: '1',
  };
  const worker = new WorkerProcess(settings);
  t.after(() => worker.end('SIGKILL'));
  const producer = new Producer(server.url, 'main');
  t.after(() => producer.close());
  for (let section = 0; section < sectionCount; section++) {
    await producer.put(`p${section}`, { [`k${section}`]: 'x'.repeat(1100) });
    await producer.receipts(new Set([`p${section}`]));
  }
  const shard = join(directory, 'data', 'shard-0000');
  // The line of a section is there from its rollover on, and its scrub from the next checkpoint.
  await worker.logged('scrub-done', { fields: { sectionCount: sectionCount - 1 } });
  const terminal = { ...recordedTerminal(), clock: systemClock };
  assert.equal(
    await dispatch(['backup', '--path', shard, '--to', join(directory, 'backup')], commands, '0', terminal),
    0,
    terminal.notes.text,
  );
  const [rotten = ''] = await readdir(join(shard, 'value'));
  const bytes = await readFile(join(shard, 'value', rotten));
  bytes[500] = (bytes[500] ?? 0) ^ 1;
  await writeFile(join(shard, 'value', rotten), bytes);
  await worker.logged('scrub-damage', { fields: { part: 'value', file: `value/${rotten}` } });
  assert.deepEqual(await producer.read(['k3']), new Map([['k3', 'x'.repeat(1100)]]));
  const [ready] = worker.lines.filter(({ event }) => event === 'worker-ready');
  assert.ok(ready !== undefined);
  const { port } = ready.http as { port: number };
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(text, /^permafrost_corrupt_records_total\{file="value",.*\} [1-9]/m);
  assert.match(text, /^permafrost_scrub_last_success_timestamp_seconds\{.*\} \d{10}/m);
  assert.match(text, /^permafrost_backup_last_success_timestamp_seconds\{.*\} \d{10}/m);
  assert.equal(await worker.end('SIGTERM'), 0);
});
