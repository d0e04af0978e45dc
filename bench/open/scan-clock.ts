/** Times the table scan of an opening by what it tells about its progress. */
export class ScanClock {
  #first: { readonly done: number; readonly atMs: number } | undefined;
  #last: { readonly done: number; readonly atMs: number } | undefined;

  readonly note = (done: number, _total: number, phase: string): void => {
    if (phase !== 'table scan') return;
    this.#last = { done, atMs: performance.now() };
    this.#first ??= this.#last;
  };

  /** Entries of the table, and how many a second were scanned from the first report on; nothing without a scan. */
  get facts(): Readonly<Record<string, number>> {
    if (this.#first === undefined || this.#last === undefined) return {};
    const scanned = this.#last.done - this.#first.done;
    const ms = this.#last.atMs - this.#first.atMs;
    const rate: Record<string, number> = scanned === 0 ? {} : { entriesScannedPerSecond: (1000 * scanned) / ms };
    return { entriesScanned: this.#last.done, ...rate };
  }
}
