// biome-ignore-all assist/source/organizeImports: ordered as a reader meets the things
/** The door of those who archive the finished jobs of BullMQ queues from inside a service. */
export { archiveFinishedJobs } from './archive-finished-jobs.ts';
export type { ArchiveJobsDependencies, ArchiveJobsOptions, QueueRef } from './archive-finished-jobs.ts';
export type { ArchiveJobsProblem, ArchiveJobsProgress, ArchiveJobsSummary } from './archive-finished-jobs.ts';
export type { StayReason } from './job-snapshot.ts';
export { type FinishedState, type QueueAddress, queueAddress } from './queue-address.ts';
export { JobsError, type JobsErrorCode } from './jobs-error.ts';
export { endsOfJob, type FindOptions, findJob, type FoundJob, type LookupClient } from './job-finder.ts';
export type { JobEnd } from './archived-job.ts';
export { replayId, replayJob, type ReplayOptions, type ReplayOutcome } from './replay-job.ts';
export { newestKey, partKey, recordKey } from './archive-key.ts';
