/** What the lab is asked on its command line. */
import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.ts';
import { type Experiment, type Family, families } from './experiment.ts';

/** Seconds of a run that says neither `--seconds` nor `--rounds`. */
export const secondsDefault = 60;
/** Thirty days: beyond that a timer of Node fires at once. */
const secondsMax = 2_000_000;
const seedMax = 0xffff_ffff;

export const usage = `usage: npm run crashlab -- [options]

Brings about faults of all kinds and checks that nothing that was promised is lost.

  --seconds N       how long to run (${secondsDefault}; without limit when --rounds is given); up to as long again
                    if by then an experiment has not had its first round
  --rounds N        end when each experiment had that many rounds
  --seed N          where all chances come from, 0 to ${seedMax} (drawn and printed)
  --only FAMILIES   of ${families.join(', ')}; several with commas, or again
  --fault NAME      this experiment alone; several with commas, or again
  --path P          one state of a simulated experiment, as a violation names it
  --json            the result as one JSON document; for a program that reads it: npm run --silent crashlab -- …,
                    as npm prints lines of its own otherwise
  --list            what experiments there are
  --help            this

Ends with 0, with 1 after a violation or when less was done than the lab promises, with 2 on a wrong option,
with 130 when it was interrupted.`;

/** A wrong option; the message says what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface LabOptions {
  readonly wish: 'run' | 'list' | 'help';
  /** Undefined: no limit but the number of rounds. */
  readonly seconds: number | undefined;
  readonly rounds: number | undefined;
  /** Undefined: to be drawn. */
  readonly seed: number | undefined;
  readonly path: string | undefined;
  readonly json: boolean;
  readonly experiments: readonly Experiment[];
}

/** Reads the words behind the command; throws a UsageError. */
export function parseOptions(words: readonly string[], catalogue: readonly Experiment[]): LabOptions {
  const values = typed(words);
  const rounds = wholeNumber('rounds', values.rounds, 1, Number.MAX_SAFE_INTEGER);
  const seconds = wholeNumber('seconds', values.seconds, 1, secondsMax);
  const experiments = selected(catalogue, values.only, values.fault);
  if (values.path !== undefined && !isOneSimulated(experiments)) {
    throw new UsageError('--path is the way to a state of one simulated experiment: name it with --fault');
  }
  return {
    wish: values.help === true ? 'help' : values.list === true ? 'list' : 'run',
    seconds: seconds ?? (rounds === undefined ? secondsDefault : undefined),
    rounds,
    seed: wholeNumber('seed', values.seed, 0, seedMax),
    path: values.path,
    json: values.json === true,
    experiments,
  };
}

/** The command that runs one round of one experiment again. */
export function replayCommand(name: string, seed: number, path: string | undefined): string {
  const way = path === undefined ? '' : ` --path '${path}'`;
  return `npm run crashlab -- --fault ${name} --seed ${seed}${way} --rounds 1`;
}

function typed(words: readonly string[]) {
  try {
    const { values, tokens } = parseArgs({
      tokens: true,
      args: [...words],
      options: {
        seconds: { type: 'string' },
        rounds: { type: 'string' },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true },
        fault: { type: 'string', multiple: true },
        path: { type: 'string' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    refuseRepeated(tokens);
    return values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** Of two values one would be dropped without a word. */
function refuseRepeated(tokens: readonly { readonly kind: string; readonly name?: string }[]): void {
  const names = tokens.flatMap(({ kind, name }) => (kind === 'option' && name !== undefined ? name : []));
  const single = names.filter((name) => name !== 'only' && name !== 'fault');
  const repeated = single.find((name, index) => single.indexOf(name) !== index);
  if (repeated !== undefined) throw new UsageError(`--${repeated} is given twice`);
}

function wholeNumber(name: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= low && number <= high) return number;
  throw new UsageError(`--${name} takes a whole number from ${low} to ${high}, not '${text}'`);
}

function selected(
  catalogue: readonly Experiment[],
  only: readonly string[] | undefined,
  fault: readonly string[] | undefined,
): readonly Experiment[] {
  const wantedFamilies = only?.flatMap((text) => text.split(',')).map(familyOf);
  const names = fault?.flatMap((text) => text.split(',')).map((name) => nameIn(catalogue, name));
  const chosen = catalogue.filter(
    ({ family, name }) => (wantedFamilies?.includes(family) ?? true) && (names?.includes(name) ?? true),
  );
  if (chosen.length > 0) return chosen;
  throw new UsageError('no experiment is of both the families and the names given');
}

function familyOf(text: string): Family {
  const family = families.find((known) => known === text);
  if (family !== undefined) return family;
  throw new UsageError(`--only knows ${families.join(', ')}, not '${text}'`);
}

function nameIn(catalogue: readonly Experiment[], name: string): string {
  if (catalogue.some((experiment) => experiment.name === name)) return name;
  throw new UsageError(`there is no experiment '${name}': --list shows them`);
}

function isOneSimulated(experiments: readonly Experiment[]): boolean {
  return experiments.length === 1 && experiments[0]?.family === 'simulated';
}
