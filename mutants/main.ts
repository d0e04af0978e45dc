/** `npm run mutants`: proves that the tests notice what they are there for. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../src/base/errors.ts';
import { catalogue } from './catalogue.ts';
import { type MutantOptions, parseOptions, UsageError, usage } from './options.ts';
import { proveAll } from './proof.ts';
import { allKilled, documentOf, listOf, progressLine, tableOf } from './report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const limitMinMs = 10_000;
const wrongOption = 2;
const interruptedStatus = 130;

async function main(words: readonly string[]): Promise<number> {
  const options = parseOptions(words, catalogue);
  switch (options.wish) {
    case 'help':
      print(usage);
      return 0;
    case 'list':
      print(listOf(options.mutants));
      return 0;
    case 'run':
      return run(options);
  }
}

async function run({ mutants, jobs, json }: MutantOptions): Promise<number> {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-mutants-'));
  let count = 0;
  try {
    const proofs = await proveAll(
      mutants,
      { root, directory },
      {
        jobs,
        limitMinMs,
        signal: interruption.signal,
        onProof: (proof) => tell(progressLine(proof, ++count, mutants.length)),
      },
    );
    print(json ? documentOf(proofs) : tableOf(proofs));
    return allKilled(proofs) ? 0 : 1;
  } catch (error) {
    if (interruption.signal.aborted) return interruptedStatus;
    throw error;
  } finally {
    // What was just ended may still write its last file.
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  tell(`mutants: ${messageOf(error)}`);
  process.exitCode = error instanceof UsageError ? wrongOption : 1;
}
