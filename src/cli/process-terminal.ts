import { readFileSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { type Command, exitCodes, type Terminal } from './command.ts';
import { dispatch } from './dispatch.ts';

/** A second signal this soon is the same wish once more: a terminal and `npm` may both send it. */
const sameWishMs = 1_000;
/** How long a command that is done may take to let go of its last handles. */
const lingerMs = 250;

/** Runs one command line in this process: its streams, its environment, its signals, its exit status. */
export async function runProcess(words: readonly string[], commands: readonly Command[]): Promise<void> {
  const terminal = processTerminal();
  process.stdout.on('error', leaveWithReader);
  process.exitCode = await dispatch(words, commands, version(), terminal);
  setTimeout(() => process.exit(), lingerMs).unref();
}

function processTerminal(): Terminal {
  return {
    input: process.stdin,
    output: process.stdout,
    notes: process.stderr,
    environment: process.env,
    clock: systemClock,
    interrupted: interruption(),
  };
}

/** Aborts at the first SIGINT or SIGTERM; a later one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  let firstMs: number | undefined;
  const interrupt = (): void => {
    const nowMs = systemClock.monotonicMs();
    firstMs ??= nowMs;
    if (nowMs - firstMs > sameWishMs) process.exit(exitCodes.interrupted);
    controller.abort();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return controller.signal;
}

/** `permafrost … | head`: the reader has gone, and nobody is left to tell. */
function leaveWithReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  throw error;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
  return typeof found === 'string' ? found : 'of unknown version';
}
