import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const workerProgram = fileURLToPath(new URL('./worker-program.ts', import.meta.url));
/** Node's own place for it: a worker whose modules are in it starts in half the time. */
const compileCache = join(tmpdir(), 'node-compile-cache');
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export type LogLine = Readonly<Record<string, unknown>>;

/** Which line of a log: with this event, with these fields if any, and not among the first `from` lines. */
export interface LogPlace {
  readonly fields?: LogLine;
  readonly from?: number;
}

interface Watcher {
  readonly matches: (line: LogLine) => boolean;
  readonly found: () => void;
}

/** A worker in a process of its own, and what it has logged. */
export class WorkerProcess {
  readonly lines: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | NodeJS.Signals>;
  readonly #watchers = new Set<Watcher>();

  /** Configured by its environment alone. `program`: what runs in place of a worker as it should be. */
  constructor(settings: Readonly<Record<string, string>>, program = workerProgram) {
    const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: compileCache, ...settings };
    this.#child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(this.#child);
    const heard = this.#listen();
    this.#exited = once(this.#child, 'exit').then(async ([code, signal]) => {
      // Its last words may still be on their way.
      await heard;
      running.delete(this.#child);
      return code ?? signal;
    });
    // Told to whoever asks, and no failure of its own when nobody does.
    this.#exited.catch(() => {});
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the worker was not started');
    return this.#child.pid;
  }

  /** Resolves when the worker has logged the event; rejects when it ends without. */
  async logged(event: string, { fields = {}, from = 0 }: LogPlace = {}): Promise<void> {
    const wanted = Object.entries({ event, ...fields });
    const matches = (line: LogLine): boolean => wanted.every(([name, value]) => line[name] === value);
    if (this.lines.slice(from).some(matches)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const watcher = { matches, found: resolve };
    this.#watchers.add(watcher);
    const ended = this.#exited.then((how) => {
      throw new Error(`the worker ended (${how}) without ${event}: ${JSON.stringify(this.lines.at(-1))}`);
    });
    await Promise.race([promise, ended]).finally(() => this.#watchers.delete(watcher));
  }

  /** Sends the signal, and resolves to the exit status, or the signal that it died of. */
  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#child.kill(signal);
    return this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  exited(): Promise<number | NodeJS.Signals> {
    return this.#exited;
  }

  /** Resolves when the last line was taken. */
  async #listen(): Promise<void> {
    if (this.#child.stdout === null) return;
    const lines = createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
    await once(lines, 'close');
  }

  #take(text: string): void {
    const line: LogLine = JSON.parse(text);
    this.lines.push(line);
    for (const { matches, found } of this.#watchers) if (matches(line)) found();
  }
}
