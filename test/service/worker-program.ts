/** A worker as a process of its own, configured by its environment alone. */
import { loadConfig } from '../../src/service/config.ts';
import { runWorker } from '../../src/service/worker.ts';

process.exit(await runWorker(loadConfig({ env: process.env })));
