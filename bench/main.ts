/** `npm run bench -- <benchmark> [options]`. */
import { messageOf } from '../src/base/errors.ts';
import { BenchError } from './bench-error.ts';
import { benchEngine, engineUsage } from './engine/engine.ts';
import { benchJobs, jobsUsage } from './jobs/jobs.ts';
import { benchOpen, openUsage } from './open/open.ts';
import { benchService, serviceUsage } from './service/service.ts';

const usage = `usage: npm run bench -- <benchmark> [options]

${engineUsage}

${openUsage}

${serviceUsage}

${jobsUsage}

all: each of them, one after the other; takes the options that all of them know`;

type Benchmark = (words: readonly string[]) => Promise<void>;

const benchmarks: Readonly<Record<string, Benchmark>> = {
  engine: benchEngine,
  open: benchOpen,
  service: benchService,
  jobs: benchJobs,
};

async function main(words: readonly string[]): Promise<number> {
  const [name = '', ...options] = words;
  if (['', 'help', '--help'].includes(name)) {
    console.log(usage);
    return name === '' ? 2 : 0;
  }
  const chosen = name === 'all' ? Object.values(benchmarks) : [benchmarks[name]];
  for (const benchmark of chosen) {
    if (benchmark === undefined) throw new BenchError(`unknown benchmark "${name}"\n\n${usage}`);
    await benchmark(options);
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${error instanceof BenchError ? error.message : messageOf(error)}`);
  process.exitCode = error instanceof BenchError ? 2 : 1;
}
