import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from './config-schema.ts';
import type { HttpPage } from './http.ts';
import type { Metrics } from './metrics.ts';
import { shownShards } from './shard-config.ts';

/**
 * `/metrics`: those of all shards of the process, each metric told once with a line for each shard, and the process's
 * own, which keep the names that every Node program gives them and name all its shards in one label.
 */
export function metricsPage(config: Config, shards: readonly Metrics[]): HttpPage {
  const own = new Registry();
  own.setDefaultLabels({ archive: config.archive, shard: shownShards(config) });
  collectDefaultMetrics({ register: own });
  return {
    contentType: own.contentType,
    body: async () => {
      // No two shards share a set of labels: what is summed up is always one number.
      const all = AggregatorRegistry.aggregate(await Promise.all(shards.map((metrics) => metrics.values())));
      return { status: 200, text: `${await all.metrics()}\n${await own.metrics()}` };
    },
  };
}
