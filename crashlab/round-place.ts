/**
 * Where rounds run: in this thread, or in one of their own.
 *
 * Simulated rounds hold the processor from end to end; in the main thread they would starve the processes and servers
 * that the other families watch at the same time.
 */
import { Worker } from 'node:worker_threads';
import { messageOf } from '../src/base/errors.ts';
import type { Experiment, Round } from './experiment.ts';
import { endOf, type RoundEnd, violationOf } from './round-end.ts';

export interface RoundPlace {
  /** Never rejects. One round at a time. */
  run(experiment: Experiment, round: Round): Promise<RoundEnd>;
  /** Gives up the round that runs: it did not end when it was told to. */
  abandon(): Promise<void>;
  close(): Promise<void>;
  /** What went wrong since the last round and was told to no other; asking forgets it. */
  aftermath?(): Aftermath | undefined;
}

export interface Aftermath {
  /** The experiment that ran last; undefined when none did. */
  readonly name: string | undefined;
  readonly message: string;
}

/**
 * This thread. Nothing can end a round here by force: one that is given up may go on in the background.
 *
 * An error that nothing caught belongs to the round that runs: it is told to stop, so that it cleans up, and ends as a
 * violation. While none runs the error waits for the next round, or for whoever asks for the aftermath.
 */
export class ThisThread implements RoundPlace {
  #name: string | undefined;
  /** Tells the round that runs of the error; undefined while none does. */
  #tell: ((error: unknown) => void) | undefined;
  #aftermath: string | undefined;

  async run(experiment: Experiment, round: Round): Promise<RoundEnd> {
    const earlier = this.aftermath();
    if (earlier !== undefined) {
      return { kind: 'violation', message: `after an earlier round (${earlier.name}) ${earlier.message}` };
    }
    const strayed = new AbortController();
    let stray: string | undefined;
    this.#name = experiment.name;
    this.#tell = (error) => {
      stray ??= messageOfStray(error);
      strayed.abort();
    };
    const end = await endOf(experiment, { ...round, signal: AbortSignal.any([round.signal, strayed.signal]) });
    this.#tell = undefined;
    return stray === undefined || end.kind === 'violation' ? end : { kind: 'violation', message: stray };
  }

  /** Takes an error that nothing caught: for `unhandledRejection` and `uncaughtException`. */
  stray(error: unknown): void {
    if (this.#tell !== undefined) this.#tell(error);
    else this.#aftermath ??= messageOfStray(error);
  }

  aftermath(): Aftermath | undefined {
    const message = this.#aftermath;
    this.#aftermath = undefined;
    return message === undefined ? undefined : { name: this.#name, message };
  }

  /** The round that is given up is not told of anything any more. */
  async abandon(): Promise<void> {
    this.#tell = undefined;
  }

  async close(): Promise<void> {}
}

function messageOfStray(error: unknown): string {
  return `an error that nothing caught: ${violationOf(error).message}`;
}

/** What the thread is told. */
export type ThreadOrder =
  | { readonly kind: 'run'; readonly name: string; readonly round: Omit<Round, 'signal'> }
  | { readonly kind: 'stop' };

/** A thread of its own, made when it is first needed and again after a round was given up. */
export class RoundThread implements RoundPlace {
  readonly #catalogue: URL;
  #worker: Worker | undefined;
  /** Settles the round that runs; undefined while none does. */
  #settle: ((end: RoundEnd) => void) | undefined;
  /** Why the thread died while no round ran in it. */
  #aftermath: string | undefined;

  /** `catalogue` is a module that exports the experiments under this name; the thread finds them there by name. */
  constructor(catalogue: URL) {
    this.#catalogue = catalogue;
  }

  async run(experiment: Experiment, round: Round): Promise<RoundEnd> {
    const aftermath = this.#aftermath;
    this.#aftermath = undefined;
    if (aftermath !== undefined) return { kind: 'violation', message: `after an earlier round ${aftermath}` };
    const worker = this.#started();
    const { signal, ...rest } = round;
    const stop = (): void => tell(worker, { kind: 'stop' });
    const end = new Promise<RoundEnd>((resolve) => {
      this.#settle = resolve;
    });
    signal.addEventListener('abort', stop, { once: true });
    tell(worker, { kind: 'run', name: experiment.name, round: rest });
    try {
      return await end;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#settle = undefined;
    }
  }

  async abandon(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  close(): Promise<void> {
    return this.abandon();
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL('./round-thread.ts', import.meta.url), { workerData: this.#catalogue.href });
    const died = (reason: string): void => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      if (this.#settle === undefined) this.#aftermath = reason;
      else this.#settle({ kind: 'violation', message: reason });
    };
    worker.on('message', (end: RoundEnd) => this.#settle?.(end));
    worker.on('error', (error: unknown) => died(`the thread of the rounds failed: ${messageOf(error)}`));
    worker.on('exit', (code: number) => died(`the thread of the rounds ended with status ${code}`));
    this.#worker = worker;
    return worker;
  }
}

function tell(worker: Worker, order: ThreadOrder): void {
  worker.postMessage(order);
}
