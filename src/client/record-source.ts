import type { Clock } from '../base/clock.ts';

/** What a source gives next: a record, nothing yet, or its end. */
export type Next<T> =
  | { readonly kind: 'item'; readonly item: T }
  | { readonly kind: 'pause' }
  | { readonly kind: 'end' };

/** A source of records, of either kind. */
export type Source<T> = Iterable<T> | AsyncIterable<T>;

/**
 * Reads a source that may be slow without waiting for it longer than asked.
 *
 * An item that comes after a pause is not lost: the next call gives it. `close` tells the source that no more is wanted.
 */
export class SourceReader<T> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>;
  readonly #clock: Clock;
  #pending: Promise<IteratorResult<T>> | undefined;
  #ended = false;

  constructor(source: Source<T>, clock: Clock) {
    this.#iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#clock = clock;
  }

  /** The next item, or `pause` when `waitMs` have passed or `stop` is aborted without one. */
  async next(waitMs: number | undefined, stop: AbortSignal): Promise<Next<T>> {
    if (this.#pending === undefined) {
      const result = this.#iterator.next();
      if (!(result instanceof Promise)) return this.#read(result);
      this.#pending = result;
    }
    const result = await this.#firstOf(this.#pending, waitMs, stop);
    if (result === undefined) return { kind: 'pause' };
    this.#pending = undefined;
    return this.#read(result);
  }

  /** Does not wait for a source that is busy: its outcome, also a failure, is nobody's any more. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const returned = this.#iterator.return?.();
    if (this.#pending === undefined) await returned;
    else ignore(this.#pending, returned);
  }

  #read(result: IteratorResult<T>): Next<T> {
    if (result.done !== true) return { kind: 'item', item: result.value };
    this.#ended = true;
    return { kind: 'end' };
  }

  /** The result, or `undefined` if the wait ends before. Leaves no timer and no listener behind. */
  #firstOf(
    pending: Promise<IteratorResult<T>>,
    waitMs: number | undefined,
    stop: AbortSignal,
  ): Promise<IteratorResult<T> | undefined> {
    if (stop.aborted) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        release();
        resolve(undefined);
      };
      const timer = waitMs === undefined ? undefined : this.#clock.after(waitMs, giveUp);
      const release = (): void => {
        timer?.cancel();
        stop.removeEventListener('abort', giveUp);
      };
      stop.addEventListener('abort', giveUp, { once: true });
      pending.finally(release).then(resolve, reject);
    });
  }
}

function ignore(...promises: unknown[]): void {
  for (const promise of promises) if (promise instanceof Promise) promise.catch(() => {});
}
