import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../bench-error.ts';
import { archive } from './archive.ts';

/** `worker`: Permafrost as `permafrost worker` runs. `ceiling`: a bare BullMQ worker that decodes and completes. */
export const subjects = ['ceiling', 'worker'] as const;
export type Subject = (typeof subjects)[number];

export interface Consumer {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface ConsumerPlace {
  readonly redisUrl: string;
  readonly dataDirectory: string;
  readonly valueBytes: number;
  readonly profileDirectory: string | undefined;
}

const programs: Readonly<Record<Subject, readonly string[]>> = {
  worker: [fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url)), 'worker'],
  ceiling: [fileURLToPath(new URL('./ceiling.ts', import.meta.url))],
};

/** Starts the consumer in a process of its own; resolves when it takes jobs. */
export async function startConsumer(subject: Subject, place: ConsumerPlace): Promise<Consumer> {
  const { profileDirectory } = place;
  const profiling = profileDirectory === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileDirectory];
  const child = spawn(process.execPath, [...profiling, ...programs[subject]], {
    env: { PATH: process.env.PATH, ...settingsOf(place) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit');
  await ready(subject, child, ended);
  return {
    pid: child.pid ?? 0,
    async stop(): Promise<void> {
      child.kill('SIGTERM');
      const [status, signal] = await ended;
      process.off('exit', kill);
      if (status !== 0) throw new BenchError(`the ${subject} ended with ${signal ?? `status ${status}`}`);
    },
  };
}

/** The worker's own settings are its defaults; the ceiling reads the same and the size of the values it replies with. */
function settingsOf(place: ConsumerPlace): Record<string, string> {
  return {
    PERMAFROST_ARCHIVE: archive,
    PERMAFROST_REDIS_URL: place.redisUrl,
    PERMAFROST_DATA_DIR: place.dataDirectory,
    PERMAFROST_HTTP_PORT: '0',
    BENCH_VALUE_BYTES: `${place.valueBytes}`,
  };
}

async function ready(subject: Subject, child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (child.stdout === null) return;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (JSON.parse(line).event === 'worker-ready') resolve();
  });
  const gone = ended.then(() => {
    throw new BenchError(`the ${subject} ended before it was ready`);
  });
  await Promise.race([promise, gone]);
}
