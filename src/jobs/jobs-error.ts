import { PermafrostError } from '../base/errors.ts';

/**
 * - `invalid-options`: an option is out of range, or a name cannot be one.
 * - `queue-busy`: another archiver works on this queue. `queue-lost`: it took the queue over while this one was stalled.
 * - `queue-redis`: the Redis of the queue does not answer, or answers with an error.
 * - `damaged-record`: what is filed under a job's key is not that job, or a part of it is missing.
 * - `not-replayable`: BullMQ cannot take this job: its data or options were never JSON, or its new id is none.
 */
export type JobsErrorCode =
  | 'invalid-options'
  | 'queue-busy'
  | 'queue-lost'
  | 'queue-redis'
  | 'damaged-record'
  | 'not-replayable';

/** Archiving, finding or replaying jobs did not succeed. `retriable`: the same call may succeed later. */
export class JobsError extends PermafrostError<JobsErrorCode> {
  override readonly name = 'JobsError';
}

/** The value, if it is a whole number from `min` to `max`. */
export function whole(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new JobsError('invalid-options', `${option} is a whole number from ${min} to ${max}, found ${value}`, {
    details: { option, min, max, found: value },
  });
}
