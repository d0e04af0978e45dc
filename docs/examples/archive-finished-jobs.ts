/** Keeps a BullMQ queue small from inside a service: finished jobs move into the archive, where they are still found. */
import { Client } from 'permafrost';
import { archiveFinishedJobs, findJob, queueAddress } from 'permafrost/jobs';

const redis = process.env.PERMAFROST_REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = await Client.connect({ archive: process.env.PERMAFROST_ARCHIVE ?? 'main', redis });
try {
  const summary = await archiveFinishedJobs({
    queue: 'mail',
    redis,
    client,
    keepCount: 1,
    marginMs: 100,
    // With `watchIntervalMs` and a `signal` it goes on for as long as the service runs.
    onProblem: (problem) => console.error(problem),
  });
  console.log(`${summary.removedCount} jobs moved, ${summary.stays.flow} wait for their flows`);

  const job = await findJob(client, queueAddress('mail'), 'letter-1');
  console.log(job?.state, job?.members.returnvalue);
} finally {
  await client.close();
}
