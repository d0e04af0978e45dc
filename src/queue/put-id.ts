import { createHash } from 'node:crypto';

const jobIdLengthMax = 128;

/**
 * The name under which a put is stored once: the producer's id, else BullMQ's job id with the job's time (BullMQ uses
 * ids again after a queue was emptied). The blanks keep the two apart: a producer's id has none.
 */
export function putIdOf(id: string | undefined, jobId: string | undefined, timestampMs: number): string {
  if (id !== undefined) return id;
  return `job ${bounded(jobId ?? '')} ${timestampMs}`;
}

/** The text that orders versions of one time in a reply. */
export function versionLabel(putId: string, recordIndex: number): string {
  return `${putId}/${String(recordIndex).padStart(6, '0')}`;
}

/** A job's id as it may be logged: producers choose it, often as a record's key, and of any length. */
export function shownJobId(jobId: string | undefined): string {
  return createHash('sha256')
    .update(jobId ?? '')
    .digest('hex')
    .slice(0, 12);
}

/** BullMQ sets no limit to a job id. */
function bounded(jobId: string): string {
  if (jobId.length <= jobIdLengthMax && /^[\x20-\x7e]*$/.test(jobId)) return jobId;
  return createHash('sha256').update(jobId).digest('hex');
}
