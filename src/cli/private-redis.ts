/**
 * A Redis of one's own, for `npm start`: a child process on 127.0.0.1 whose data lies in a directory of the archive.
 *
 * States: none → starting → running → stopped, or running → lost when the server ends by itself. Invariants: one owner
 * of the directory (a lock that dies with the process), one server on its append-only file. When this process is killed
 * the server lives on; the next start finds it by the port that it wrote down, and ends it before it starts its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, realpath, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import { awaitReady, dropConnection, openConnection, type RedisConnection } from '../queue/connection.ts';
import { directoryLock, type HeldLock } from '../shard/owner-lock.ts';
import { CliError } from './cli-error.ts';

export interface PrivateRedis {
  readonly url: string;
  /** Program that serves it. */
  readonly program: string;
  /** Settles when the server has ended without being asked to. */
  readonly lost: Promise<CliError>;
  /** Ends the server and gives the directory back. May be called twice. */
  stop(): Promise<void>;
}

/** Either will do; the first one found is taken. */
const programs = ['redis-server', 'valkey-server'] as const;
const portFile = 'port';
const logFile = 'redis.log';
const readyTimeoutMs = 60_000;
const orphanTimeoutMs = 10_000;
const answerLengthMax = 8_192;
const stopTimeoutMs = 10_000;

/** Starts the server and resolves when it answers. Errors: CliError. */
export async function startPrivateRedis(directory: string): Promise<PrivateRedis> {
  await mkdir(directory, { recursive: true, mode: 0o750 });
  const home = await realpath(directory);
  const lock = await owned(home);
  try {
    const port = await portFor(home);
    await writeFile(join(home, portFile), `${port}\n`);
    const { child, program } = await launch(home, port);
    const server = new ChildRedis(child, program, port, home, lock);
    await server.ready();
    return server;
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function owned(home: string): Promise<HeldLock> {
  try {
    return await directoryLock(home).acquire();
  } catch (error) {
    if (codeOf(error) !== 'owned') throw error;
    const message = `npm start runs already with this data directory (${messageOf(error).replace(/;.*/, '')}): stop it first, or name another one with PERMAFROST_DATA_DIR`;
    throw new CliError('already-running', message, { cause: error });
  }
}

class ChildRedis implements PrivateRedis {
  readonly url: string;
  readonly program: string;
  readonly lost: Promise<CliError>;
  readonly #child: ChildProcess;
  readonly #lock: HeldLock;
  readonly #ended: Promise<void>;
  #stopping: Promise<void> | undefined;

  constructor(child: ChildProcess, program: string, port: number, home: string, lock: HeldLock) {
    this.url = `redis://127.0.0.1:${port}`;
    this.program = program;
    this.#child = child;
    this.#lock = lock;
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
    this.lost = new Promise((resolve) => {
      child.once('exit', (status, signal) => {
        if (this.#stopping !== undefined) return;
        const message = `the private Redis ended (${signal ?? `status ${status}`}); its words are in ${join(home, logFile)}`;
        resolve(new CliError('redis-failed', message));
      });
    });
  }

  /** Resolves when the server answers; a server that does not is ended. */
  async ready(): Promise<void> {
    const connection = quietConnection(this.url);
    try {
      const answered = awaitReady(connection, this.url, readyTimeoutMs);
      answered.catch(() => {});
      const lost = await Promise.race([answered, this.lost]);
      if (lost !== undefined) throw lost;
    } catch (error) {
      await this.stop();
      throw error;
    } finally {
      dropConnection(connection);
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const late = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs);
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await this.#ended;
    }
    clearTimeout(late);
    this.#lock.release();
  }
}

async function launch(home: string, port: number): Promise<{ child: ChildProcess; program: string }> {
  for (const program of programs) {
    const log = await open(join(home, logFile), 'a', 0o640);
    try {
      // Its own process group: Ctrl-C must reach the worker only, which needs Redis to end well.
      const child = spawn(program, serverArguments(home, port), { stdio: ['ignore', log.fd, log.fd], detached: true });
      await once(child, 'spawn');
      return { child, program };
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    } finally {
      await log.close();
    }
  }
  const message = `none of ${programs.join(', ')} is on PATH: install one, or name a server with PERMAFROST_REDIS_URL`;
  throw new CliError('redis-missing', message);
}

function serverArguments(home: string, port: number): readonly string[] {
  return [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
    ...['--daemonize', 'no', '--logfile', '', '--always-show-logo', 'no'],
  ];
}

/** The port of the time before, so that the URL stays the same, if it is free; else a free one. */
async function portFor(home: string): Promise<number> {
  const earlier = await earlierPort(home);
  if (earlier === undefined) return freePort(0);
  await endOrphan(home, earlier);
  return freePort(earlier).catch(() => freePort(0));
}

async function earlierPort(home: string): Promise<number | undefined> {
  const text = await readFile(join(home, portFile), 'utf8').catch(() => '');
  const port = Number(text.trim());
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

/**
 * Ends a server on our directory that a killed process left behind; a stranger on the port is left alone. The two
 * commands are written out because a server that still loads its file answers these, and no client library waits for it.
 */
async function endOrphan(home: string, port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(orphanTimeoutMs, () => socket.destroy());
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write('CONFIG GET dir\r\n');
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes;
    if (answer.includes(`\r\n${home}\r\n`)) socket.write('SHUTDOWN\r\n');
    else if (answer.length > answerLengthMax || !'*2\r\n$3\r\ndir\r\n'.startsWith(answer.slice(0, 13)))
      socket.destroy();
  });
  await closed;
}

function quietConnection(url: string): RedisConnection {
  const connection = openConnection({ url, username: '', password: '', tlsCaFile: '' }, 'start');
  connection.on('error', () => {});
  return connection;
}

/** The port if it can be listened on, or a free one for 0; rejects when it is taken. */
export async function freePort(port: number): Promise<number> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const closed = once(server, 'close');
  server.close();
  await closed;
  return typeof address === 'object' && address !== null ? address.port : port;
}
