import { codeOf, messageOf } from '../base/errors.ts';

/**
 * What an error of a Redis client or of BullMQ says about Redis.
 *
 * - `out-of-memory`, `read-only`, `misconfigured`, `loading`: it answers but cannot work for us now; asking again at
 *   once gets the same answer, tens of thousands of times a second.
 * - `connection`: it does not answer; the client connects again by itself.
 * - `job-gone`: the completion was carried out before, but its answer was lost, or the lock was lost to another
 *   worker. Normal after a lost connection: the job is delivered again at worst.
 * - `other`: none of these.
 */
export type RedisTrouble =
  | 'out-of-memory'
  | 'read-only'
  | 'misconfigured'
  | 'loading'
  | 'connection'
  | 'job-gone'
  | 'other';

const byPrefix: readonly (readonly [RegExp, RedisTrouble])[] = [
  [/\bOOM\b/, 'out-of-memory'],
  [/\bREADONLY\b/, 'read-only'],
  [/\bMISCONF\b/, 'misconfigured'],
  [/\b(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/, 'loading'],
  [/Missing (key|lock) for job|could not renew lock|lock mismatch|not in the active state/i, 'job-gone'],
  [/Connection is closed|Connection ended|Socket closed|Command timed out|max retries per request/i, 'connection'],
];
const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
]);

export function troubleOf(error: unknown): RedisTrouble {
  if (connectionCodes.has(codeOf(error) ?? '')) return 'connection';
  const message = messageOf(error);
  return byPrefix.find(([pattern]) => pattern.test(message))?.[1] ?? 'other';
}

/** Whether fetching must rest, since asking again at once would only spin. */
export function needsRest(trouble: RedisTrouble): boolean {
  return ['out-of-memory', 'read-only', 'misconfigured', 'loading'].includes(trouble);
}
