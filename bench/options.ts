import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.ts';
import { BenchError } from './bench-error.ts';

type Flags = Readonly<Record<string, { type: 'string'; default: string } | { type: 'boolean'; default: boolean }>>;

/** The options of a benchmark by their names; an unknown one is a BenchError that shows the usage. */
export function parseFlags<F extends Flags>(words: readonly string[], flags: F, usage: string) {
  try {
    return parseArgs({ args: [...words], strict: true, options: flags }).values;
  } catch (error) {
    throw new BenchError(`${messageOf(error)}\n\n${usage}`);
  }
}

/** A whole number that may have commas or underscores between its digits. */
export function parseCount(name: string, text: string, least = 1): number {
  const digits = text.replaceAll(/[_,]/g, '');
  const value = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(value) || value < least) {
    throw new BenchError(`--${name} takes a whole number from ${least} on, found "${text}"`);
  }
  return value;
}

/** Some of the known names, with commas between them, in the order in which they are known. */
export function parseNames<N extends string>(name: string, text: string, known: readonly N[]): readonly N[] {
  const names = text.split(',');
  const unknown = names.find((word) => !known.some((one) => one === word));
  if (unknown !== undefined) throw new BenchError(`--${name} knows ${known.join(', ')}, found "${unknown}"`);
  return known.filter((one) => names.includes(one));
}
