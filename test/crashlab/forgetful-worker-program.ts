/** A worker that breaks the promise: it does not know that a job may come again. */
import { DeliveryHistory } from '../../src/queue/delivery-history.ts';
import { loadConfig } from '../../src/service/config.ts';
import { runWorker } from '../../src/service/worker.ts';

DeliveryHistory.prototype.mayBeRepeated = () => false;
process.exit(await runWorker(loadConfig({ env: process.env })));
