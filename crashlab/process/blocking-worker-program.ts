/** A worker whose event loop stands still for longer than its locks last, each time that it gets SIGUSR2. */
import { loadConfig } from '../../src/service/config.ts';
import { runWorker } from '../../src/service/worker.ts';

const config = loadConfig({ env: process.env });
process.on('SIGUSR2', () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, config.queue.lockDurationMs * 1.7);
});
process.exit(await runWorker(config));
