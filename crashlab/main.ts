/** `npm run crashlab -- [options]`. */
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { catalogue } from './catalogue.ts';
import type { Experiment } from './experiment.ts';
import { graceMs, Lab, type LabResult, roundLimitMs } from './lab.ts';
import { thisMachine } from './machine.ts';
import { type LabOptions, parseOptions, UsageError, usage } from './options.ts';
import { LabProgress } from './progress.ts';
import { reportOf, statusOf, textOf } from './report.ts';
import { RoundThread, ThisThread } from './round-place.ts';
import { workCounts } from './work.ts';

const tickMs = 200;

async function main(words: readonly string[]): Promise<number> {
  const options = parseOptions(words, catalogue);
  switch (options.wish) {
    case 'help':
      process.stdout.write(`${usage}\n`);
      return 0;
    case 'list':
      for (const experiment of options.experiments) process.stdout.write(`${await descriptionOf(experiment)}\n`);
      return 0;
    case 'run':
      return runLab(options, options.seed ?? randomInt(2 ** 32));
  }
}

async function descriptionOf(experiment: Experiment): Promise<string> {
  const reason = await experiment.unavailable?.();
  const { name, family, rows, promise, leastWork } = experiment;
  const least = workCounts.flatMap(([count, words]) =>
    leastWork[count] === undefined ? [] : `${leastWork[count]} ${words}`,
  );
  const skipped = reason === undefined ? '' : `\n  skipped here: ${reason}`;
  return `${name} (${family}; rows ${rows.join(', ')})\n  ${promise}\n  a round: at least ${least.join(', ')}${skipped}`;
}

async function runLab(options: LabOptions, seed: number): Promise<number> {
  const { seconds } = options;
  const interrupted = interruption();
  process.stderr.write(`crashlab: ${options.experiments.length} experiments, seed ${seed}\n`);
  const startedAt = new Date().toISOString();
  const result = await resultOf(options, seed, interrupted);
  const facts = { seed, startedAt, seconds, version: version(), machine: thisMachine() };
  const report = reportOf(facts, result);
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `\n${textOf(report)}`);
  return statusOf(report);
}

async function resultOf(options: LabOptions, seed: number, interrupted: AbortSignal): Promise<LabResult> {
  const { seconds, experiments, rounds, path } = options;
  const directory = mkdtempSync(join(tmpdir(), 'permafrost-crashlab-'));
  const here = new ThisThread();
  const progress = new LabProgress(process.stderr, systemClock, seconds);
  const lab = new Lab(
    {
      ...{ experiments, seed, rounds, path, directory, roundLimitMs, graceMs },
      durationMs: seconds === undefined ? undefined : seconds * 1000,
    },
    {
      clock: systemClock,
      thread: new RoundThread(new URL('./catalogue.ts', import.meta.url)),
      here,
      interrupted,
      roundEnded: (tally) => progress.roundEnded(tally),
    },
  );
  // Also keeps the process alive: the clock's timers do not, and a round may wait for one of them alone.
  const ticking = setInterval(() => progress.tick(lab), tickMs);
  const stray = (error: unknown): void => here.stray(error);
  process.on('unhandledRejection', stray).on('uncaughtException', stray);
  try {
    return await lab.run();
  } finally {
    process.off('unhandledRejection', stray).off('uncaughtException', stray);
    clearInterval(ticking);
    progress.clear();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Aborts at the first signal; a second one, a second later at least, ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  let firstMs: number | undefined;
  const interrupt = (): void => {
    firstMs ??= systemClock.monotonicMs();
    if (systemClock.monotonicMs() - firstMs > 1_000) process.exit(130);
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // A terminal that is gone, or a reader that has seen enough, is no reason to leave without cleaning up.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return controller.signal;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return String(found);
}

/** Ends also when a round that was given up still holds something open; what was printed gets out first. */
function leave(status: number): void {
  process.exitCode = status;
  process.stdout.write('', () => process.exit());
}

try {
  leave(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`crashlab: ${error.message}\n'npm run crashlab -- --help' shows the options\n`);
  leave(2);
}
