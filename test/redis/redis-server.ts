import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * A real Redis for one test file: its own free port, its own temporary directory, nothing shared, nothing left.
 *
 * States: running → (stop | kill) → down → restart → running … → stop → gone. `stop` ends in "gone": the directory is
 * removed. A process that exits without `stop` takes its servers with it.
 */
export interface RedisServer {
  /** `redis://127.0.0.1:<port>`, `rediss://…` with TLS; stays the same over restarts. */
  readonly url: string;
  readonly port: number;
  /** Process id of the server that runs now, for tests that pause it. */
  readonly pid: number;
  /** Ends the server (SIGTERM) and removes its directory. */
  stop(): Promise<void>;
  /** Ends the server with SIGKILL and keeps its directory. */
  kill(): Promise<void>;
  /** Ends the server with SIGTERM, as an operator would, and keeps its directory. */
  shutdown(): Promise<void>;
  /** Starts it again, on the same port and directory; ends it first if it still runs. */
  restart(): Promise<void>;
}

export interface RedisOptions {
  /** `no` forgets everything at a restart. Default: `everysec`. */
  readonly appendOnly?: 'no' | 'everysec' | 'always';
  /**
   * Whether a restart without an append-only file brings back the last snapshot: whoever wants one asks for it (SAVE,
   * BGSAVE), and an end by SIGTERM takes one. Default: no.
   */
  readonly snapshots?: boolean;
  /** Default: `noeviction`. */
  readonly evictionPolicy?: string;
  /** Default: no limit. */
  readonly memoryBytesMax?: number;
  /** Takes TLS connections only, from those alone whose certificate the authority signed. PEM files. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
  /** Further arguments, as in `--requirepass secret`. */
  readonly args?: readonly string[];
}

const programs = ['redis-server', 'valkey-server'];
const startAttemptCount = 5;
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a server and resolves when it accepts connections. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-redis-'));
  try {
    const { child, port } = await launchOnFreePort(directory, options);
    return new OwnServer(child, port, directory, options);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

class OwnServer implements RedisServer {
  readonly port: number;
  readonly #directory: string;
  readonly #options: RedisOptions;
  #child: ChildProcess;

  constructor(child: ChildProcess, port: number, directory: string, options: RedisOptions) {
    this.#child = child;
    this.port = port;
    this.#directory = directory;
    this.#options = options;
  }

  get url(): string {
    return `redis${this.#options.tls === undefined ? '' : 's'}://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the server does not run');
    return this.#child.pid;
  }

  async stop(): Promise<void> {
    await end(this.#child, 'SIGTERM');
    await rm(this.#directory, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return end(this.#child, 'SIGKILL');
  }

  shutdown(): Promise<void> {
    return end(this.#child, 'SIGTERM');
  }

  async restart(): Promise<void> {
    await end(this.#child, 'SIGTERM');
    this.#child = await launch(this.port, this.#directory, this.#options);
  }
}

/** Another process may take the port between the look and the start: then the next port is tried. */
async function launchOnFreePort(
  directory: string,
  options: RedisOptions,
): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return { child: await launch(port, directory, options), port };
    } catch (error) {
      if (attempt === startAttemptCount) throw error;
    }
  }
}

async function launch(port: number, directory: string, options: RedisOptions): Promise<ChildProcess> {
  let missing: unknown;
  for (const program of programs) {
    try {
      return await launchProgram(program, port, directory, options);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      missing = error;
    }
  }
  throw new Error(`none of ${programs.join(', ')} is on PATH`, { cause: missing });
}

async function launchProgram(
  program: string,
  port: number,
  directory: string,
  options: RedisOptions,
): Promise<ChildProcess> {
  const child = spawn(program, serverArguments(port, directory, options), { stdio: ['ignore', 'pipe', 'pipe'] });
  await once(child, 'spawn');
  running.add(child);
  child.once('exit', () => running.delete(child));
  await ready(child);
  return child;
}

function serverArguments(port: number, directory: string, options: RedisOptions): string[] {
  const appendOnly = options.appendOnly ?? 'everysec';
  return [
    ...portArguments(port, options),
    ...['--bind', '127.0.0.1', '--dir', directory],
    // A time that never comes: without one, SIGTERM takes no snapshot.
    ...['--save', options.snapshots === true ? '1000000 1' : ''],
    ...['--appendonly', appendOnly === 'no' ? 'no' : 'yes'],
    ...['--appendfsync', appendOnly === 'no' ? 'everysec' : appendOnly],
    ...['--maxmemory-policy', options.evictionPolicy ?? 'noeviction'],
    ...['--maxmemory', String(options.memoryBytesMax ?? 0)],
    ...(options.args ?? []),
  ];
}

function portArguments(port: number, { tls }: RedisOptions): string[] {
  if (tls === undefined) return ['--port', String(port)];
  const { caFile, certFile, keyFile } = tls;
  const files = ['--tls-ca-cert-file', caFile, '--tls-cert-file', certFile, '--tls-key-file', keyFile];
  return ['--port', '0', '--tls-port', String(port), ...files, '--tls-auth-clients', 'yes'];
}

/** Resolves at the server's own word that it is ready; rejects with its output if it ends before. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const output: string[] = [];
    const take = (line: string): void => {
      output.push(line);
      if (line.includes('Ready to accept connections')) resolve();
    };
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', take);
    if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', take);
    child.once('exit', (code) => reject(new Error(`the Redis server ended with ${code}:\n${output.join('\n')}`)));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  // A paused server does not see SIGTERM before it is told to go on.
  if (signal !== 'SIGKILL') child.kill('SIGCONT');
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const closed = once(server, 'close');
  server.close();
  await closed;
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
