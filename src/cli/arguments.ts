import { parseArgs } from 'node:util';
import { codeOf, messageOf } from '../base/errors.ts';
import {
  type Command,
  type OperandTable,
  type OperandValues,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  UsageError,
} from './command.ts';

/** What was typed after the command's name: a use of the command, or the wish to read about it. */
export type Parsed<Options extends OptionTable, Operands extends OperandTable> =
  | { readonly kind: 'help' }
  | { readonly kind: 'run'; readonly options: OptionValues<Options>; readonly operands: OperandValues<Operands> };

/** Reads the words behind a command's name; a wrong one is a UsageError that says what is right. */
export function parseInvocation<Options extends OptionTable, Operands extends OperandTable>(
  command: Command<Options, Operands>,
  words: readonly string[],
): Parsed<Options, Operands> {
  const { values, positionals } = typed(command, words);
  if (values.help === true) return { kind: 'help' };
  const options: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(command.options)) options[name] = optionValue(name, spec, values[name]);
  return {
    kind: 'run',
    options: options as OptionValues<Options>,
    operands: operandValues(command.operands, positionals) as OperandValues<Operands>,
  };
}

interface Typed {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

function typed(command: Pick<Command, 'options'>, words: readonly string[]): Typed {
  const options: Record<string, { type: 'boolean' | 'string'; short?: string; multiple?: boolean }> = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const [name, spec] of Object.entries(command.options)) {
    options[name] = {
      type: spec.kind === 'flag' ? 'boolean' : 'string',
      multiple: spec.kind === 'list',
      ...(spec.short === undefined ? {} : { short: spec.short }),
    };
  }
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usageErrorFrom(error, words, Object.keys(options));
  }
}

function usageErrorFrom(error: unknown, words: readonly string[], names: readonly string[]): unknown {
  const code = codeOf(error);
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const word = /'(-[^']*)'/.exec(messageOf(error))?.[1] ?? words.find((each) => each.startsWith('-')) ?? '';
    const close = nearest(word.replace(/^-+/, ''), names);
    const hint = close === undefined ? '' : `; did you mean --${close}?`;
    return new UsageError('unknown-option', `unknown option ${word}${hint}`, { cause: error });
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    return new UsageError('invalid-option', firstSentence(messageOf(error)), { cause: error });
  }
  return error;
}

function firstSentence(text: string): string {
  const line = text.split('\n')[0] ?? text;
  return `${line.charAt(0).toLowerCase()}${line.slice(1)}`.replace(/\.$/, '');
}

function optionValue(
  name: string,
  spec: OptionSpec,
  value: unknown,
): boolean | number | string | readonly string[] | undefined {
  if (spec.kind === 'flag') return value === true;
  if (value === undefined && 'required' in spec && spec.required === true)
    throw new UsageError('missing-option', `--${name} is missing: ${spec.summary}`);
  if (spec.kind === 'list') return Array.isArray(value) ? value : [];
  if (typeof value !== 'string') return spec.default;
  if (spec.kind === 'count') return countOf(name, value, spec);
  if (spec.kind === 'choice' && !spec.choices.includes(value)) {
    throw new UsageError('invalid-option', `--${name} must be one of ${spec.choices.join(', ')}, not '${value}'`);
  }
  return value;
}

function countOf(name: string, value: string, range: { readonly min: number; readonly max: number }): number {
  const count = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (count >= range.min && count <= range.max) return count;
  throw new UsageError(
    'invalid-option',
    `--${name} must be a whole number from ${range.min} to ${range.max}, not '${value}'`,
  );
}

function operandValues(table: OperandTable, words: readonly string[]): Record<string, string | undefined> {
  const names = Object.keys(table);
  const excess = words[names.length];
  if (excess !== undefined) throw new UsageError('unexpected-operand', `unexpected argument '${excess}'`);
  const values: Record<string, string | undefined> = {};
  for (const [index, name] of names.entries()) {
    const word = words[index];
    if (word === undefined && table[name]?.required === true) {
      throw new UsageError('missing-operand', `<${name}> is missing: ${table[name].summary}`);
    }
    values[name] = word;
  }
  return values;
}

/** The name that a mistyped word most likely meant, if one is close. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of names) {
    const distance = editDistance(word, name);
    if (distance < (best?.distance ?? Math.min(3, Math.max(word.length, 2)))) best = { name, distance };
  }
  return best?.name;
}

/** Insertions, deletions and replacements of one letter that lead from one word to the other. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
