/** Lets any number of waiters sleep until something happens next. */
export class Signal {
  #next = Promise.withResolvers<void>();

  /** Settles at the next `raise`. */
  get raised(): Promise<void> {
    return this.#next.promise;
  }

  raise(): void {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    resolve();
  }
}
