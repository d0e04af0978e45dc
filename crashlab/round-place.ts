/**
 * Where rounds run: in this thread, or in one of their own.
 *
 * Simulated rounds hold the processor from end to end; in the main thread they would starve the processes and servers
 * that the other families watch at the same time.
 */
import { Worker } from 'node:worker_threads';
import { messageOf } from '../src/base/errors.ts';
import type { Experiment, Round } from './experiment.ts';
import { endOf, type RoundEnd } from './round-end.ts';

export interface RoundPlace {
  /** Never rejects. One round at a time. */
  run(experiment: Experiment, round: Round): Promise<RoundEnd>;
  /** Gives up the round that runs: it did not end when it was told to. */
  abandon(): Promise<void>;
  close(): Promise<void>;
}

/** Nothing can end a round here by force: one that is given up may go on in the background. */
export const thisThread: RoundPlace = {
  run: endOf,
  abandon: async () => {},
  close: async () => {},
};

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
