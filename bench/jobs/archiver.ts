import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ArchiveJobsSummary } from '../../src/jobs/archive-finished-jobs.ts';
import { BenchError } from '../bench-error.ts';
import { archive } from '../service/archive.ts';
import { queueName } from './mixture.ts';

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const lookMs = 20;

export interface ArchiverRun {
  /** Undefined if it was killed. */
  readonly summary: ArchiveJobsSummary | undefined;
  readonly ms: number;
}

/** Runs `permafrost archive-jobs` as an operator would; kills it when `isTime` says so. */
export async function runArchiver(
  redisUrl: string,
  marginSeconds: number,
  isTime?: () => Promise<boolean>,
): Promise<ArchiverRun> {
  const startMs = performance.now();
  const words = [program, 'archive-jobs', '--queue', queueName, '--json', '--margin', `${marginSeconds}s`];
  const env = { PATH: process.env.PATH, PERMAFROST_ARCHIVE: archive, PERMAFROST_REDIS_URL: redisUrl };
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said: Buffer[] = [];
  const told: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => told.push(chunk));
  const look = setInterval(async () => {
    if (await isTime?.()) child.kill('SIGKILL');
  }, lookMs);
  const [status, signal] = await once(child, 'close');
  clearInterval(look);
  const ms = performance.now() - startMs;
  if (signal === 'SIGKILL') return { summary: undefined, ms };
  if (status !== 0) throw new BenchError(`archive-jobs ended with ${status}: ${Buffer.concat(told)}`);
  return { summary: JSON.parse(Buffer.concat(said).toString()), ms };
}
