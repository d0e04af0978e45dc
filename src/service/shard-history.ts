import type { JobCount } from '../queue/job-counts.ts';
import type { Interval } from './activity.ts';

export type QueueCounts = readonly (JobCount & { readonly queue: string })[];

/** A value a sample, the oldest first; `null` where there was none to tell. */
export type Series = readonly (number | null)[];

/** The last minutes of a shard, as `/status.json` has them. */
export interface History {
  readonly recordsPerS: Series;
  readonly bytesPerS: Series;
  readonly putMedianS: Series;
  readonly putP99S: Series;
  readonly answersPerS: Series;
  readonly lookupMedianS: Series;
  readonly lookupP99S: Series;
  readonly waitingPuts: Series;
  readonly waitingLookups: Series;
}

interface Sample {
  readonly interval: Interval;
  readonly counts: QueueCounts;
}

const precision = 4;

/** The newest samples of a shard, at most so many: a new one takes the place of the oldest. */
export class ShardHistory {
  readonly #sampleCountMax: number;
  readonly #samples: Sample[] = [];

  constructor(sampleCountMax: number) {
    this.#sampleCountMax = sampleCountMax;
  }

  add(interval: Interval, counts: QueueCounts): void {
    this.#samples.push({ interval, counts });
    if (this.#samples.length > this.#sampleCountMax) this.#samples.shift();
  }

  /** Jobs of a queue in a state when last looked; `null` when Redis did not answer then. */
  newest(queue: string, state: JobCount['state']): number | null {
    return countOf(this.#samples.at(-1), queue, state) ?? null;
  }

  get series(): History {
    const of = (value: (sample: Sample) => number | undefined): Series => {
      return this.#samples.map((sample) => rounded(value(sample)));
    };
    return {
      recordsPerS: of(({ interval }) => interval.recordsPerS),
      bytesPerS: of(({ interval }) => interval.bytesPerS),
      putMedianS: of(({ interval }) => interval.putS?.median),
      putP99S: of(({ interval }) => interval.putS?.p99),
      answersPerS: of(({ interval }) => interval.answersPerS),
      lookupMedianS: of(({ interval }) => interval.lookupS?.median),
      lookupP99S: of(({ interval }) => interval.lookupS?.p99),
      waitingPuts: of((sample) => countOf(sample, 'put', 'waiting')),
      waitingLookups: of((sample) => countOf(sample, 'lookup', 'waiting')),
    };
  }
}

function countOf(sample: Sample | undefined, queue: string, state: JobCount['state']): number | undefined {
  return sample?.counts.find((each) => each.queue === queue && each.state === state)?.count;
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Number(value.toPrecision(precision));
}
