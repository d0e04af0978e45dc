import { LatencyTally } from './latency-tally.ts';

/** What a shard did in the time between two looks, for people; the metrics tell it to machines. */
export interface Interval {
  readonly recordsPerS: number;
  readonly bytesPerS: number;
  readonly answersPerS: number;
  /** From being queued to being durable; `undefined` when nothing was put. */
  readonly putS: Quantiles | undefined;
  /** From fetching a lookup to its reply; `undefined` when nothing was asked. */
  readonly lookupS: Quantiles | undefined;
}

export interface Quantiles {
  readonly median: number;
  readonly p99: number;
}

/** Counts between two looks. Cheap enough for every job: two additions and one logarithm. */
export class Activity {
  /** Of the newest checkpoint in Redis; `undefined` before the first. */
  publishedEpoch: number | undefined;
  readonly #puts = new LatencyTally();
  readonly #lookups = new LatencyTally();
  #recordCount = 0;
  #bytes = 0;
  #answerCount = 0;
  #damageCount = 0;

  putStored(recordCount: number, bytes: number, waitS: number): void {
    this.#bytes += bytes;
    this.#recordCount += recordCount;
    this.#puts.observe(waitS);
  }

  lookupAnswered(answerCount: number, durationS: number): void {
    this.#answerCount += answerCount;
    this.#lookups.observe(durationS);
  }

  damageMet(count: number): void {
    this.#damageCount += count;
  }

  /** Damage that was met since the start. */
  get damageCount(): number {
    return this.#damageCount;
  }

  /** What happened since the last call, which was so long ago; counting begins anew. */
  take(elapsedS: number): Interval {
    const interval = {
      recordsPerS: this.#recordCount / elapsedS,
      bytesPerS: this.#bytes / elapsedS,
      answersPerS: this.#answerCount / elapsedS,
      putS: quantilesOf(this.#puts),
      lookupS: quantilesOf(this.#lookups),
    };
    this.#recordCount = 0;
    this.#bytes = 0;
    this.#answerCount = 0;
    this.#puts.reset();
    this.#lookups.reset();
    return interval;
  }
}

function quantilesOf(tally: LatencyTally): Quantiles | undefined {
  const median = tally.quantile(0.5);
  const p99 = tally.quantile(0.99);
  return median === undefined || p99 === undefined ? undefined : { median, p99 };
}
