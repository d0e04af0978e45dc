import { Signal } from './signal.ts';
import type { Store } from './store.ts';

/**
 * The seat of the store that is in use: who reads holds it for that time, so that a replaced instance gives its
 * handles back only when its last reader is done.
 */
export class StoreSeat {
  /** Raised when committed state moved on: a commit, a sync, another instance, or none any more. */
  readonly moved = new Signal();
  readonly #readers = new Map<Store, number>();
  readonly #leaving = new Set<Store>();
  readonly #onLeft: (error: unknown) => void;
  #current: Store;

  /** `onLeft` is told when a replaced instance could not give its handles back. */
  constructor(store: Store, onLeft: (error: unknown) => void) {
    this.#current = store;
    this.#onLeft = onLeft;
  }

  get current(): Store {
    return this.#current;
  }

  async read<T>(work: (store: Store) => Promise<T>): Promise<T> {
    const store = this.#current;
    this.#readers.set(store, (this.#readers.get(store) ?? 0) + 1);
    try {
      return await work(store);
    } finally {
      this.#done(store);
    }
  }

  replace(next: Store): void {
    const before = this.#current;
    this.#current = next;
    this.#leaving.add(before);
    if (!this.#readers.has(before)) this.#leave(before);
    this.moved.raise();
  }

  /** Gives the instance's handles back once nobody reads. */
  async vacate(): Promise<void> {
    while (this.#readers.size > 0) await this.#idle.raised;
    await this.#current.release();
    this.moved.raise();
  }

  readonly #idle = new Signal();

  #done(store: Store): void {
    const count = (this.#readers.get(store) ?? 1) - 1;
    if (count > 0) {
      this.#readers.set(store, count);
      return;
    }
    this.#readers.delete(store);
    if (this.#leaving.has(store)) this.#leave(store);
    this.#idle.raise();
  }

  #leave(store: Store): void {
    this.#leaving.delete(store);
    store.release().catch(this.#onLeft);
  }
}
