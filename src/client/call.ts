import type { Clock, Timer } from '../base/clock.ts';
import { ClientError } from './client-error.ts';

/** How long, and until when, a caller waits. */
export interface WaitOptions {
  /** Default: the client's. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A call as those see it who work for it and do not know its answer. */
export interface PendingCall {
  readonly settled: boolean;
  reject(error: Error): void;
  /** Calls `listener` when the call is settled; at once if it is. Gives back what takes the listener away again. */
  onSettled(listener: () => void): () => void;
  /** Says what the deadline means from now on. */
  expect(deadlineError: (timeoutMs: number) => ClientError): void;
  /** Says that from now on only the answer is missing. */
  expectAnswer(): void;
}

/**
 * A call that waits for its answer.
 *
 * States: pending → settled, once, by whatever comes first: the answer, a failure, the deadline, or the caller's
 * signal. What comes later is ignored. A settled call holds no timer and no listener.
 */
export class Call<T> implements PendingCall {
  readonly promise: Promise<T>;
  readonly #timer: Timer;
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number;
  readonly #settledListeners = new Set<() => void>();
  #settlePromise: { resolve: (value: T) => void; reject: (error: Error) => void } | undefined;
  #deadlineError: (timeoutMs: number) => ClientError = unanswered;

  constructor(clock: Clock, timeoutMs: number, signal: AbortSignal | undefined) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.promise = promise;
    // The caller may look at the promise late; a failure is his to handle, not the process's.
    promise.catch(() => {});
    this.#settlePromise = { resolve, reject };
    this.#timeoutMs = timeoutMs;
    this.#timer = clock.after(timeoutMs, () => this.reject(this.#deadlineError(this.#timeoutMs)));
    this.#signal = signal;
    if (signal?.aborted === true) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get settled(): boolean {
    return this.#settlePromise === undefined;
  }

  resolve(value: T): void {
    const settle = this.#settle();
    settle?.resolve(value);
  }

  reject(error: Error): void {
    const settle = this.#settle();
    settle?.reject(error);
  }

  onSettled(listener: () => void): () => void {
    if (this.settled) listener();
    else this.#settledListeners.add(listener);
    return () => this.#settledListeners.delete(listener);
  }

  expect(deadlineError: (timeoutMs: number) => ClientError): void {
    this.#deadlineError = deadlineError;
  }

  expectAnswer(): void {
    this.#deadlineError = unanswered;
  }

  readonly #abort = (): void => {
    this.reject(new ClientError('aborted', 'the call was aborted by its signal', { cause: this.#signal?.reason }));
  };

  #settle(): { resolve: (value: T) => void; reject: (error: Error) => void } | undefined {
    const settle = this.#settlePromise;
    if (settle === undefined) return undefined;
    this.#settlePromise = undefined;
    this.#timer.cancel();
    this.#signal?.removeEventListener('abort', this.#abort);
    for (const listener of this.#settledListeners) listener();
    this.#settledListeners.clear();
    return settle;
  }
}

/** What the promise comes to, if the caller still waits then. Errors: that of the promise, ClientError `deadline`, `aborted`. */
export function awaited<T>(
  promise: Promise<T>,
  clock: Clock,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const call = new Call<T>(clock, options.timeoutMs, options.signal);
  promise.then(
    (value) => call.resolve(value),
    (error: unknown) => call.reject(error instanceof Error ? error : new Error(String(error))),
  );
  return call.promise;
}

function unanswered(timeoutMs: number): ClientError {
  return new ClientError('deadline', `no answer within ${timeoutMs} ms`, { retriable: true, details: { timeoutMs } });
}
