import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { Redis } from 'ioredis';
import { assert } from '../../src/base/assert.ts';
import { systemClock } from '../../src/base/clock.ts';
import { freePort } from '../../src/cli/private-redis.ts';
import { awaitReady, dropConnection, openConnection } from '../../src/queue/connection.ts';

export interface BenchRedis {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const readyTimeoutMs = 10_000;

/** A Redis as `npm start` runs it, for one measurement: an append-only file, synced each second. */
export async function startRedis(directory: string): Promise<BenchRedis> {
  await fs.mkdir(directory, { recursive: true });
  const port = await freePort(0);
  const words = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'yes'];
  const child = spawn('redis-server', [...words, '--maxmemory-policy', 'noeviction'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit');
  const url = `redis://127.0.0.1:${port}`;
  const connection = connect(url);
  await awaitReady(connection, url, readyTimeoutMs, systemClock).finally(() => dropConnection(connection));
  return {
    url,
    pid: child.pid ?? 0,
    async stop(): Promise<void> {
      child.kill('SIGTERM');
      await ended;
      process.off('exit', kill);
    },
  };
}

/** A connection with the settings of a worker. */
export function connect(url: string): Redis {
  const connection = openConnection({ url, username: '', password: '', tlsCaFile: '' }, 'bench');
  connection.on('error', () => {});
  assert(connection instanceof Redis, 'a benchmark has one server');
  return connection;
}
