import type { Readable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { PermafrostError } from '../base/errors.ts';

/** What the process ends with. Part of the command line's contract. */
export const exitCodes = {
  /** All of it was done. */
  done: 0,
  /** It ran to its end and the answer is no: a missing key, records that were not stored, damage found. */
  negative: 1,
  /** The command line or the configuration is wrong; nothing was touched. */
  usage: 2,
  /** It could not be done: no Redis, a data directory in use, a deadline, a failing disk. */
  unable: 3,
  /** Stopped by Ctrl-C or SIGTERM before its end; what was acknowledged is stored. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Where text and bytes go. `columns` and `isTTY` are there on a terminal only. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Calls `written` when the bytes have left, or with the error that kept them. */
  write(chunk: string | Uint8Array, written?: (error?: Error | null) => void): boolean;
}

/** All that a command may touch of the process it runs in. Tests pass their own. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  /** Results only: a pipe may read it. */
  readonly output: Output;
  /** Progress, hints and errors. */
  readonly notes: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts at the first Ctrl-C or SIGTERM: finish what is in flight, then return. */
  readonly interrupted: AbortSignal;
}

export interface OptionBase {
  readonly summary: string;
  /** One letter, without the dash. */
  readonly short?: string;
}

export type OptionSpec =
  | (OptionBase & { readonly kind: 'flag' })
  | (OptionBase & {
      readonly kind: 'text';
      readonly placeholder: string;
      readonly default?: string;
      /** The command does not run without it. */
      readonly required?: true;
    })
  /** May be given several times; at least once if it is required. */
  | (OptionBase & { readonly kind: 'list'; readonly placeholder: string; readonly required?: true })
  | (OptionBase & {
      readonly kind: 'count';
      readonly placeholder: string;
      readonly min: number;
      readonly max: number;
      readonly default?: number;
    })
  | (OptionBase & { readonly kind: 'choice'; readonly choices: readonly string[]; readonly default?: string });

/** Options by the name that is typed after the two dashes. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

export interface OperandSpec {
  readonly summary: string;
  readonly required: boolean;
}

/** Operands in the order in which they are typed; required ones come first. */
export type OperandTable = Readonly<Record<string, OperandSpec>>;

type OptionValue<Spec extends OptionSpec> = Spec extends { readonly kind: 'flag' }
  ? boolean
  : Spec extends { readonly kind: 'list' }
    ? readonly string[]
    :
        | BareValue<Spec>
        | (Spec extends { readonly default: string | number } | { readonly required: true } ? never : undefined);

type BareValue<Spec extends OptionSpec> = Spec extends { readonly kind: 'count' }
  ? number
  : Spec extends { readonly kind: 'choice'; readonly choices: readonly (infer Choice)[] }
    ? Choice
    : string;

export type OptionValues<Options extends OptionTable> = {
  readonly [Name in keyof Options]: OptionValue<Options[Name]>;
};

export type OperandValues<Operands extends OperandTable> = {
  readonly [Name in keyof Operands]: Operands[Name] extends { readonly required: true } ? string : string | undefined;
};

/** One use of a command: what was typed, checked and typed against its tables. */
export interface Invocation<Options extends OptionTable, Operands extends OperandTable> {
  readonly options: OptionValues<Options>;
  readonly operands: OperandValues<Operands>;
}

export interface Example {
  readonly line: string;
  readonly effect: string;
}

/** A command, told completely: parsing and `--help` are made from these tables. */
export interface Command<Options extends OptionTable = OptionTable, Operands extends OperandTable = OperandTable> {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What one must know to use it, in a few sentences. */
  readonly description: string;
  readonly operands: Operands;
  readonly options: Options;
  readonly examples: readonly Example[];
  run(invocation: Invocation<Options, Operands>, terminal: Terminal): Promise<ExitCode>;
}

/** Gives a command its types, inferred from its tables. */
export function defineCommand<const Options extends OptionTable, const Operands extends OperandTable>(
  command: Command<Options, Operands>,
): Command<Options, Operands> {
  return command;
}

export type UsageErrorCode =
  | 'unknown-command'
  | 'unknown-option'
  | 'invalid-option'
  | 'missing-option'
  | 'missing-operand'
  | 'unexpected-operand';

/** The command line is wrong: the message says how, and what is right. */
export class UsageError extends PermafrostError<UsageErrorCode> {
  override readonly name = 'UsageError';
}
