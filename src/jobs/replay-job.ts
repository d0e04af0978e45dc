/**
 * Puts an archived job into its queue once more.
 *
 * The new job has the archived name, data and options, and an id that follows from the archived job alone: replaying twice
 * adds one job, as long as the first one is in Redis or in the archive. It says where it came from in its options
 * (`permafrost.replayOf`) and in its log. What ties a job to others or to a time is left out: parent, scheduler, delay.
 */
import { hash } from 'node:crypto';
import { type Job, type JobsOptions, Queue } from 'bullmq';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { RedisAddress } from '../client/settings.ts';
import { endsOfJob, type FindOptions, type FoundJob, type LookupClient } from './job-finder.ts';
import { JobsError } from './jobs-error.ts';
import type { QueueAddress } from './queue-address.ts';
import { QueueRedis } from './queue-redis.ts';

export interface ReplayOptions extends FindOptions {
  /** Name of the queue that gets it. Default: the one that it was in. */
  readonly toQueue?: string | undefined;
  /** Id of the new job. Default: one that follows from the archived job. */
  readonly jobId?: string | undefined;
  readonly connectTimeoutMs?: number | undefined;
}

/**
 * `added`: the job is in the queue. `present`: a job with its id was there already. `archived`: a job with its id has run
 * and is in the archive. `deduplicated`: BullMQ took it for another job, by the deduplication in its options.
 */
export interface ReplayOutcome {
  readonly outcome: 'added' | 'present' | 'archived' | 'deduplicated';
  readonly queue: string;
  /** Id of the new job, or of the one that was there. */
  readonly jobId: string;
}

/** Options that do not come along: identity, ties to other jobs, and times that have passed. */
const leftOut = ['jobId', 'parent', 'repeat', 'repeatJobKey', 'prevMillis', 'timestamp', 'delay'];

/** How BullMQ shortens names of options in Redis. */
const shortNames: Readonly<Record<string, string>> = {
  de: 'deduplication',
  fpof: 'failParentOnFailure',
  cpof: 'continueParentOnFailure',
  idof: 'ignoreDependencyOnFailure',
  kl: 'keepLogs',
  rdof: 'removeDependencyOnFailure',
};
/** Options about the parent that is left out. */
const parentOptions = ['fpof', 'cpof', 'idof', 'rdof'];

/** Adds the job. Errors: JobsError `not-replayable`, `queue-redis`; ClientError. */
export async function replayJob(
  found: FoundJob,
  redis: string | RedisAddress,
  client: LookupClient,
  options: ReplayOptions = {},
): Promise<ReplayOutcome> {
  const jobId = options.jobId ?? replayId(found);
  const address = { ...found.end.address, queue: options.toQueue ?? found.end.address.queue };
  const data = dataOf(found);
  const name = typeof found.members.name === 'string' ? found.members.name : '__default__';
  const jobOptions = { ...optionsOf(found), jobId };
  const ends = await endsOfJob(client, address, jobId, options);
  if (ends.length > 0) return { outcome: 'archived', queue: address.queue, jobId };
  const connection = await QueueRedis.open(redis, systemClock, options.connectTimeoutMs ?? 10_000);
  try {
    return await add(connection, address, { name, data, options: jobOptions, jobId, origin: found.key });
  } finally {
    connection.close();
  }
}

/** The id of a replay: always the same for the same archived job. */
export function replayId({ key }: Pick<FoundJob, 'key'>): string {
  return `replay-${hash('sha256', key).slice(0, 32)}`;
}

interface NewJob {
  readonly name: string;
  readonly data: unknown;
  readonly options: JobsOptions;
  readonly jobId: string;
  readonly origin: string;
}

async function add(redis: QueueRedis, { prefix, queue: name }: QueueAddress, job: NewJob): Promise<ReplayOutcome> {
  const { jobId } = job;
  // The queue's own settings in Redis are its owner's.
  const settings = { connection: redis.connection, prefix, skipVersionCheck: true, skipMetasUpdate: true };
  const queue = new Queue(name, settings);
  queue.on('error', () => {});
  try {
    if ((await queue.getJobState(jobId)) !== 'unknown') return { outcome: 'present', queue: name, jobId };
    const added = await queue.add(job.name, job.data, job.options);
    if (added.id !== jobId) return { outcome: 'deduplicated', queue: name, jobId: added.id ?? '' };
    await added.log(`replayed from the archive: ${job.origin}`);
    return { outcome: 'added', queue: name, jobId };
  } catch (error) {
    throw refusal(error);
  } finally {
    await queue.close();
  }
}

function refusal(error: unknown): JobsError {
  const message = messageOf(error);
  if (/custom id/i.test(message)) return new JobsError('not-replayable', `the new id: ${message}`, { cause: error });
  return new JobsError('queue-redis', `the job could not be added: ${message}`, { retriable: true, cause: error });
}

function dataOf({ members }: FoundJob): unknown {
  if ('data' in members) return members.data;
  throw new JobsError('not-replayable', 'its data was no JSON: no worker could have taken it');
}

function optionsOf({ members, key }: FoundJob): JobsOptions {
  const { opts } = members;
  if (typeof opts !== 'object' || opts === null) throw new JobsError('not-replayable', 'its options were no JSON');
  const kept = Object.entries(opts)
    .filter(([name]) => !leftOut.includes(name) && !parentOptions.includes(name))
    .map(([name, value]) => [shortNames[name] ?? name, value] as const);
  return { ...Object.fromEntries(kept), permafrost: { replayOf: key } } as Pick<Job, 'opts'>['opts'];
}
