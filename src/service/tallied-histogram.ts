import { Histogram, type MetricObjectWithValues, type MetricValueWithName } from 'prom-client';

/** What was counted elsewhere, as a histogram tells it. */
export interface Tally {
  /** Observations by bound, each at the first that is not less; the last count is of those beyond all bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** A histogram that is counted elsewhere and read when it is scraped; it shows nothing while there is no tally. */
export class TalliedHistogram extends Histogram<'le'> {
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #tally: () => Tally | undefined;

  /** It is in no registry yet. */
  constructor(
    options: { readonly name: string; readonly help: string; readonly bounds: readonly number[] },
    tally: () => Tally | undefined,
  ) {
    super({ name: options.name, help: options.help, buckets: [...options.bounds], registers: [] });
    this.#name = options.name;
    this.#bounds = options.bounds;
    this.#tally = tally;
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<'le'>>> {
    const metric = await super.get();
    const tally = this.#tally();
    return { ...metric, values: tally === undefined ? [] : this.#valuesOf(tally) };
  }

  #valuesOf({ counts, sum }: Tally): MetricValueWithName<'le'>[] {
    const values: MetricValueWithName<'le'>[] = [];
    let count = 0;
    for (const [index, bound] of [...this.#bounds, '+Inf'].entries()) {
      count += counts[index] ?? 0;
      values.push({ metricName: `${this.#name}_bucket`, labels: { le: bound }, value: count });
    }
    values.push({ metricName: `${this.#name}_sum`, labels: {}, value: sum });
    values.push({ metricName: `${this.#name}_count`, labels: {}, value: count });
    return values;
  }
}
