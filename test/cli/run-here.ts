import { systemClock } from '../../src/base/clock.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import type { Environment } from './command-run.ts';
import { recordedTerminal } from './manual-terminal.ts';

export interface CommandOutcome {
  readonly status: number;
  readonly output: Buffer;
  readonly text: string;
  readonly notes: string;
}

/** Runs `permafrost <words>` to its end in this process: a tenth of the time that one of its own takes. */
export async function runHere(
  words: readonly string[],
  environment: Environment = {},
  input: string | Uint8Array = '',
  interrupted: AbortSignal = new AbortController().signal,
): Promise<CommandOutcome> {
  const terminal = { ...recordedTerminal(input), environment, clock: systemClock, interrupted };
  const status = await dispatch(words, commands, '0', terminal);
  const output = Buffer.concat(terminal.output.chunks);
  return { status, output, text: output.toString(), notes: terminal.notes.text };
}
