/** A worker that breaks the promise: it takes a record for durable as soon as it is in memory. */
import { Freezer } from '../../src/freezer/freezer.ts';
import { loadConfig } from '../../src/service/config.ts';
import { runWorker } from '../../src/service/worker.ts';

Object.defineProperty(Freezer.prototype, 'committed', {
  get(this: Freezer<unknown>) {
    return this.end;
  },
});
Freezer.prototype.commit = async function commit() {
  return this.end;
};
// A sync would write what the commits left out: none is due by time, nor by the number of records.
const env = {
  ...process.env,
  PERMAFROST_SYNC_INTERVAL_MS: '3600000',
  PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '131072',
};
process.exit(await runWorker(loadConfig({ env })));
