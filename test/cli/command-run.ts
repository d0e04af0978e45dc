import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const start = fileURLToPath(new URL('../../src/cli/start.ts', import.meta.url));

export type Environment = Readonly<Record<string, string>>;

export interface CommandResult {
  readonly status: number | null;
  readonly output: Buffer;
  readonly text: string;
  readonly notes: string;
}

/** A process of the command line, and all that it has said. */
export class CommandRun {
  readonly child: ChildProcess;
  readonly #output: Buffer[] = [];
  readonly #notes: Buffer[] = [];
  readonly #lines: string[] = [];
  #heard: () => void = () => {};
  #closed = false;

  constructor(words: readonly string[], environment: Environment, program = main) {
    // Nothing of the surroundings may reach the settings.
    const { PATH = '', HOME = '' } = process.env;
    const args = ['--disable-warning=ExperimentalWarning', program, ...words];
    this.child = spawn(process.execPath, args, { stdio: 'pipe', env: { PATH, HOME, ...environment } });
    this.child.stdout?.on('data', (chunk: Buffer) => this.#output.push(chunk));
    this.child.stderr?.on('data', (chunk: Buffer) => this.#notes.push(chunk));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.#lines.push(line);
        this.#heard();
      });
    }
    this.child.once('close', () => {
      this.#closed = true;
      this.#heard();
    });
    // A command that fails early does not read its input to the end.
    this.child.stdin?.on('error', () => {});
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The first line that matches, said already or to come; rejects when the process ends without it. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.#lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.#closed) throw new Error(`ended without ${pattern}:\n${this.#lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  /** Waits for the end of the process. */
  async ended(): Promise<CommandResult> {
    if (!this.#closed) await once(this.child, 'close');
    const output = Buffer.concat(this.#output);
    return {
      status: this.child.exitCode,
      output,
      text: output.toString(),
      notes: Buffer.concat(this.#notes).toString(),
    };
  }

  /** Ends the process if it still runs. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<CommandResult> {
    if (!this.#closed) this.child.kill(signal);
    return this.ended();
  }
}

/** Runs `permafrost <words>` to its end. */
export function permafrost(
  words: readonly string[],
  environment: Environment = {},
  input: string | Uint8Array = '',
): Promise<CommandResult> {
  const run = new CommandRun(words, environment);
  run.child.stdin?.end(input);
  return run.ended();
}

/** Starts what `npm start` runs. */
export function npmStart(words: readonly string[], environment: Environment): CommandRun {
  const run = new CommandRun(words, environment, start);
  run.child.stdin?.end();
  return run;
}
