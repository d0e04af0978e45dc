/**
 * Data of whole key index pages that were read and found good, the least recently used thrown out first.
 *
 * Only pages that never change again are put here: full ones, and the last page of a sealed section.
 */
export class PageCache {
  readonly #pagesMax: number;
  readonly #pages = new Map<number, Buffer>();

  constructor(pagesMax: number) {
    this.#pagesMax = pagesMax;
  }

  get(key: number): Buffer | undefined {
    const page = this.#pages.get(key);
    if (page === undefined) return undefined;
    this.#pages.delete(key);
    this.#pages.set(key, page);
    return page;
  }

  put(key: number, page: Buffer): void {
    this.#pages.delete(key);
    this.#pages.set(key, page);
    if (this.#pages.size <= this.#pagesMax) return;
    for (const oldest of this.#pages.keys()) {
      this.#pages.delete(oldest);
      return;
    }
  }

  clear(): void {
    this.#pages.clear();
  }
}
