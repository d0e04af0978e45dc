/**
 * The one-way switch of an object that may have lost a write.
 *
 * The first cause wins. A poisoned owner refuses every further mutation with that cause; what it still
 * answers is the owner's business.
 */
export class Poison {
  #cause: Error | undefined;

  get cause(): Error | undefined {
    return this.#cause;
  }

  get set(): boolean {
    return this.#cause !== undefined;
  }

  /** Marks the owner as unusable and gives back the first cause. */
  mark(cause: unknown): Error {
    this.#cause ??= cause instanceof Error ? cause : new Error(String(cause));
    return this.#cause;
  }
}
