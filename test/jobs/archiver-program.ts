/** Archives a queue in a process of its own, to be killed: says each step that it made on a line. */
import { writeSync } from 'node:fs';
import { Client } from '../../src/client/client.ts';
import { archiveFinishedJobs } from '../../src/jobs/archive-finished-jobs.ts';

const [redis = '', queue = ''] = process.argv.slice(2);
const client = await Client.connect({ archive: 'main', redis });
await archiveFinishedJobs({
  queue,
  redis,
  client,
  // Short, so that the one that comes after a killed one can go on soon, and removal runs beside archiving.
  ...{ leaseMs: 150, marginMs: 20, pageCount: 10 },
  onProgress: ({ archivedCount, removedCount }) => writeSync(1, `${archivedCount} ${removedCount}\n`),
});
await client.close();
process.exit(0);
