export interface WidthLimits {
  /** Jobs in hand at once. */
  readonly countMax: number;
  /** Bytes of the jobs in hand, about: what is fetched is not known before. */
  readonly bytesMax: number;
}

/** An idle worker begins with so many: BullMQ fetches all of them, one after the other, before it hands over the first. */
const firstCount = 16;
/** For each job that is fetched the width may grow by so many. */
const growth = 4;
/** However large jobs are: one that is stored must not keep the next from being fetched. */
const countMin = 4;
/** Of the mean: what one job counts. */
const weight = 1 / 16;

/**
 * How many jobs a worker may have in hand: few when it was idle, then more and more, as many as it is allowed of small
 * jobs and fewer of large ones.
 *
 * Idle is a worker that has nothing in hand and found the queue empty. To have nothing in hand for a moment is not: a
 * commit settles all jobs at once, each of which brings the next one with its completion while the width allows it.
 */
export class IntakeWidth {
  readonly #limits: WidthLimits;
  readonly #apply: (count: number) => void;
  #ramp = firstCount;
  #inHandCount = 0;
  #foundEmpty = true;
  #meanBytes = 0;
  #width: number;

  /** `apply` is told each change. */
  constructor(limits: WidthLimits, apply: (count: number) => void) {
    this.#limits = limits;
    this.#apply = apply;
    this.#width = this.#wanted();
  }

  get width(): number {
    return this.#width;
  }

  /** A job of this size was fetched. */
  fetched(bytes: number): void {
    this.#inHandCount += 1;
    this.#foundEmpty = false;
    this.#meanBytes += (bytes - this.#meanBytes) * (this.#meanBytes === 0 ? 1 : weight);
    this.#ramp = Math.min(this.#ramp + growth, this.#limits.countMax);
    this.#adapt();
  }

  /** A job is out of hand. */
  settled(): void {
    this.#inHandCount -= 1;
    this.#narrow();
  }

  /** A fetch found no job. */
  drained(): void {
    this.#foundEmpty = true;
    this.#narrow();
  }

  #narrow(): void {
    if (this.#inHandCount > 0 || !this.#foundEmpty) return;
    this.#ramp = firstCount;
    this.#adapt();
  }

  #adapt(): void {
    const wanted = this.#wanted();
    if (wanted === this.#width) return;
    this.#width = wanted;
    this.#apply(wanted);
  }

  #wanted(): number {
    const { countMax, bytesMax } = this.#limits;
    const fitting = this.#meanBytes === 0 ? countMax : Math.floor(bytesMax / this.#meanBytes);
    return Math.min(this.#ramp, Math.max(fitting, countMin), countMax);
  }
}
