/** What the run is asked on its command line. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.ts';
import type { Mutant } from './mutant.ts';

export const usage = `usage: npm run mutants -- [options]

Breaks one thing in the source at a time, in a copy of it, and checks that the test named for it fails.

  --only NAMES   these mutants; several with commas
  --jobs N       mutants tried side by side (2, or as many as there are processors)
  --json         the result as one JSON document
  --list         what mutants there are
  --help         this

Ends with 0 when every mutant was killed, else with 1; with 2 on a wrong option, with 130 when it was interrupted.`;

/** A wrong option; the message says what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface MutantOptions {
  readonly wish: 'run' | 'list' | 'help';
  readonly mutants: readonly Mutant[];
  readonly jobs: number;
  readonly json: boolean;
}

const jobsDefault = Math.min(2, availableParallelism());
const jobsMax = 64;

/** Reads the words behind the command; throws a UsageError. */
export function parseOptions(words: readonly string[], catalogue: readonly Mutant[]): MutantOptions {
  const values = typed(words);
  return {
    wish: values.help === true ? 'help' : values.list === true ? 'list' : 'run',
    mutants: selected(catalogue, values.only),
    jobs: jobsOf(values.jobs),
    json: values.json === true,
  };
}

function typed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      options: {
        only: { type: 'string' },
        jobs: { type: 'string' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

function selected(catalogue: readonly Mutant[], only: string | undefined): readonly Mutant[] {
  if (only === undefined) return catalogue;
  const names = only.split(',');
  const unknown = names.find((name) => !catalogue.some((mutant) => mutant.name === name));
  if (unknown !== undefined) throw new UsageError(`there is no mutant '${unknown}': see --list`);
  return catalogue.filter(({ name }) => names.includes(name));
}

function jobsOf(text: string | undefined): number {
  if (text === undefined) return jobsDefault;
  const jobs = Number(text);
  if (/^\d+$/.test(text) && jobs >= 1 && jobs <= jobsMax) return jobs;
  throw new UsageError(`--jobs takes a whole number from 1 to ${jobsMax}, found '${text}'`);
}
