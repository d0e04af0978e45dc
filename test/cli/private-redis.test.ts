import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { CliError } from '../../src/cli/cli-error.ts';
import { type PrivateRedis, startPrivateRedis } from '../../src/cli/private-redis.ts';

async function emptyDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-private-redis-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'redis');
}

async function asked<T>(server: Pick<PrivateRedis, 'url'>, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(server.url, { retryStrategy: () => null });
  redis.on('error', () => {});
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

test('serves with an append-only file and without eviction, and keeps its data and port over a restart', async (context) => {
  const directory = await emptyDirectory(context);
  const first = await startPrivateRedis(directory);
  try {
    assert.deepEqual(await asked(first, (redis) => redis.config('GET', 'appendonly')), ['appendonly', 'yes']);
    assert.deepEqual(await asked(first, (redis) => redis.config('GET', 'maxmemory-policy')), [
      'maxmemory-policy',
      'noeviction',
    ]);
    assert.deepEqual(await asked(first, (redis) => redis.config('GET', 'bind')), ['bind', '127.0.0.1']);
    await asked(first, (redis) => redis.set('kept', 'yes'));
  } finally {
    await first.stop();
  }
  const second = await startPrivateRedis(directory);
  try {
    assert.equal(second.url, first.url);
    assert.equal(await asked(second, (redis) => redis.get('kept')), 'yes');
  } finally {
    await second.stop();
  }
});

test('lies in a process group of its own, so that Ctrl-C leaves it to the worker to end', async (context) => {
  const server = await startPrivateRedis(await emptyDirectory(context));
  try {
    const pid = /process_id:(\d+)/.exec(await asked(server, (redis) => redis.info('server')))?.[1] ?? '';
    assert.equal(execFileSync('ps', ['-o', 'pgid=', '-p', pid], { encoding: 'utf8' }).trim(), pid);
  } finally {
    await server.stop();
  }
});

test('a second start on the same directory is refused with what to do, and disturbs nothing', async (context) => {
  const directory = await emptyDirectory(context);
  const server = await startPrivateRedis(directory);
  try {
    await assert.rejects(startPrivateRedis(directory), (error) => {
      assert.ok(error instanceof CliError);
      assert.equal(error.code, 'already-running');
      assert.match(
        error.message,
        new RegExp(`process ${process.pid} .*stop it first, or name another one with PERMAFROST_DATA_DIR`),
      );
      return true;
    });
    assert.equal(await asked(server, (redis) => redis.ping()), 'PONG');
  } finally {
    await server.stop();
  }
});

test('a port that somebody else has taken since is left to him', async (context) => {
  const directory = await emptyDirectory(context);
  const first = await startPrivateRedis(directory);
  await first.stop();
  const stranger = createServer((socket) => socket.end('not a Redis\r\n')).listen(
    Number(new URL(first.url).port),
    '127.0.0.1',
  );
  await once(stranger, 'listening');
  const second = await startPrivateRedis(directory);
  try {
    assert.notEqual(second.url, first.url);
    assert.equal(stranger.listening, true);
  } finally {
    await second.stop();
    stranger.close();
  }
});

test('a server that dies by itself is told, with the place of its log', async (context) => {
  const directory = await emptyDirectory(context);
  const server = await startPrivateRedis(directory);
  try {
    await asked(server, (redis) => redis.shutdown('NOSAVE').catch(() => {}));
    const lost = await server.lost;
    assert.equal(lost.code, 'redis-failed');
    const log = /its words are in (.*)$/.exec(lost.message)?.[1] ?? '';
    assert.match(await readFile(log, 'utf8'), /Ready to accept connections/);
  } finally {
    await server.stop();
  }
});

test('a server that a killed process left behind is ended, and its data is there', async (context) => {
  const directory = await emptyDirectory(context);
  const program = `
    import { startPrivateRedis } from ${JSON.stringify(new URL('../../src/cli/private-redis.ts', import.meta.url).href)};
    const server = await startPrivateRedis(${JSON.stringify(directory)});
    process.stdout.write(server.url);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [url] = await once(child.stdout, 'data');
  const orphan = { url: String(url) };
  context.after(() => asked(orphan, (redis) => redis.shutdown('NOSAVE').catch(() => {})));
  await asked(orphan, (redis) => redis.set('kept', 'yes'));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const server = await startPrivateRedis(directory);
  try {
    assert.equal(server.url, orphan.url);
    assert.equal(await asked(server, (redis) => redis.get('kept')), 'yes');
  } finally {
    await server.stop();
  }
});
