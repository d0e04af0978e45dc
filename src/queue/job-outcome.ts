/** The one place that decides what an error means for a job. */
import { codeOf, messageOf } from '../base/errors.ts';
import { ProtocolError, type WireError } from '../protocol/protocol-error.ts';
import { toWireError } from '../protocol/wire-error.ts';

/**
 * - `refuse`: the job itself is at fault. It fails at once, is kept with its reason, and is not tried again.
 * - `hold`: the shard cannot store now (disk, recovery, too much waits). The job stays ours and is tried again until it
 *   succeeds, and no other job is fetched.
 * - `retry`: nobody foresaw this error. It may be of this job alone, so it is tried again a few times and then refused:
 *   one job must not hold up all others.
 * - `hand-back`: we are closing. The job goes back to the head of its queue, uncounted, for the next worker.
 */
export type Verdict =
  | { readonly kind: 'refuse'; readonly error: WireError }
  | { readonly kind: 'hold' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'hand-back' };

/** Codes of the layers below with which a put is refused for good, and how they are called on the wire. */
const refusals: ReadonlyMap<string, string> = new Map([
  ['key-exists', 'key-exists'],
  ['several-homes', 'several-homes'],
  ['limit-exceeded', 'limit-exceeded'],
  ['invalid-request', 'invalid-field'],
  ['invalid-key', 'invalid-field'],
  ['invalid-value', 'limit-exceeded'],
  ['corrupt-chain', 'corrupt'],
]);

/** Codes of the layers below that say that nothing can be stored now. */
const holds: ReadonlySet<string> = new Set([
  'overloaded',
  'failed',
  'poisoned',
  'sync-required',
  'disk-full',
  'disk-failed',
]);

export function verdictOn(error: unknown): Verdict {
  if (error instanceof ProtocolError) return { kind: 'refuse', error: toWireError(error) };
  const code = codeOf(error) ?? '';
  if (code === 'closing' || code === 'closed') return { kind: 'hand-back' };
  const wireCode = refusals.get(code);
  if (wireCode === undefined) return { kind: holds.has(code) ? 'hold' : 'retry' };
  return { kind: 'refuse', error: { code: wireCode, message: messageOf(error) } };
}
