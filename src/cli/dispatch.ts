import { PermafrostError } from '../base/errors.ts';
import { ConfigError } from '../service/config-error.ts';
import { nearest, parseInvocation } from './arguments.ts';
import { type Command, type ExitCode, exitCodes, type Terminal, UsageError } from './command.ts';
import { commandHelp, generalHelp } from './usage.ts';

/** Runs one command line and gives the status to end with; every failure is told on the terminal's notes. */
export async function dispatch(
  words: readonly string[],
  commands: readonly Command[],
  version: string,
  terminal: Terminal,
): Promise<ExitCode> {
  const [name, ...rest] = words;
  try {
    if (name === undefined) return told(terminal.notes, generalHelp(commands), exitCodes.usage);
    if (name === '--help' || name === '-h') return told(terminal.output, generalHelp(commands));
    if (name === '--version') return told(terminal.output, `permafrost ${version}\n`);
    if (name === 'help') return help(rest, commands, terminal);
    return await runCommand(commandOf(name, commands), rest, terminal);
  } catch (error) {
    return failed(error, name, terminal);
  }
}

async function runCommand(command: Command, words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const parsed = parseInvocation(command, words);
  if (parsed.kind === 'help') return told(terminal.output, commandHelp(command));
  return command.run(parsed, terminal);
}

function help([name]: readonly string[], commands: readonly Command[], terminal: Terminal): ExitCode {
  return told(terminal.output, name === undefined ? generalHelp(commands) : commandHelp(commandOf(name, commands)));
}

function commandOf(name: string, commands: readonly Command[]): Command {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const names = commands.map((command) => command.name);
  const close = nearest(name, names);
  throw new UsageError(
    'unknown-command',
    name.startsWith('-')
      ? `the command comes first, before ${name}`
      : `unknown command '${name}'${close === undefined ? '' : `; did you mean ${close}?`}`,
  );
}

function told(output: Terminal['output'], text: string, status: ExitCode = exitCodes.done): ExitCode {
  output.write(text);
  return status;
}

function failed(error: unknown, name: string | undefined, terminal: Terminal): ExitCode {
  const where = name === undefined || isUnknownCommand(error) ? 'permafrost' : `permafrost ${name}`;
  terminal.notes.write(`${where}: ${textOf(error)}\n`);
  if (error instanceof UsageError) terminal.notes.write(`Try '${where} --help'.\n`);
  return error instanceof UsageError || error instanceof ConfigError ? exitCodes.usage : exitCodes.unable;
}

function isUnknownCommand(error: unknown): boolean {
  return error instanceof UsageError && error.code === 'unknown-command';
}

/** An unexpected error is a mistake of the program: its place is what a report needs. */
function textOf(error: unknown): string {
  if (error instanceof UsageError) return error.message;
  if (error instanceof PermafrostError) return `${error.message} (${error.code})`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
