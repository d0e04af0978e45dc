import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('./worker-program.ts', import.meta.url));
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A worker in a process of its own, and what it has logged. */
export class WorkerProcess {
  readonly lines: Readonly<Record<string, unknown>>[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | NodeJS.Signals>;
  readonly #waiting = new Map<string, () => void>();

  constructor(settings: Readonly<Record<string, string>>) {
    const env = { PATH: process.env.PATH, ...settings };
    this.#child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(this.#child);
    this.#exited = once(this.#child, 'exit').then(([code, signal]) => {
      running.delete(this.#child);
      return code ?? signal;
    });
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
    }
  }

  /** Resolves when the worker has logged the event; rejects when it ends without. */
  async logged(event: string): Promise<void> {
    if (this.lines.some((line) => line.event === event)) return;
    const seen = new Promise<void>((resolve) => {
      this.#waiting.set(event, resolve);
    });
    const ended = this.#exited.then((how) => {
      throw new Error(`the worker ended (${how}) without ${event}: ${JSON.stringify(this.lines.at(-1))}`);
    });
    await Promise.race([seen, ended]);
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

  #take(text: string): void {
    const line = JSON.parse(text);
    this.lines.push(line);
    this.#waiting.get(line.event)?.();
  }
}
