import type { LookupOutcome, LookupResult } from '../protocol/reply.ts';

/** Outcomes behind which a newer version may hide, those that say least about it first. */
const veils: readonly LookupOutcome[] = ['unavailable', 'expired', 'corrupt', 'invalid'];

/**
 * What the homes of a key say together, each of which has answered for itself.
 *
 * The newest version wins: the one archived last, and of one time the one whose put id is greater. But a home that does
 * not know may hold a newer one than all others have, and a home that was not even looked into may hold the only one: as
 * long as one such is among them, nothing else is the answer, neither `missing` nor `found`.
 */
export function newestVersion(results: readonly LookupResult[]): LookupResult | undefined {
  const [first] = results;
  if (results.length <= 1) return first;
  for (const outcome of veils) {
    const veiled = results.find((result) => result.outcome === outcome);
    if (veiled !== undefined) return veiled;
  }
  const unread = results.find(({ outcome, time }) => outcome === 'too-large' && time === undefined);
  if (unread !== undefined) return unread;
  const versions = results.filter(({ outcome }) => outcome !== 'missing');
  return versions.reduce((newest, version) => (isNewer(version, newest) ? version : newest), versions[0] ?? first);
}

function isNewer(version: LookupResult, other: LookupResult | undefined): boolean {
  const difference = (version.time ?? 0) - (other?.time ?? 0);
  return difference > 0 || (difference === 0 && (version.put ?? '') > (other?.put ?? ''));
}
