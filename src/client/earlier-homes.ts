import type { RecordWire } from '../protocol/put-job.ts';
import { storedKeyOf } from '../protocol/record-key.ts';
import type { LookupOutcome, LookupResult } from '../protocol/reply.ts';
import { homesOf, type Topology } from '../protocol/topology.ts';
import { ClientError } from './client-error.ts';
import type { PutPart, RecordReceipt } from './put-part.ts';
import type { LookupOptions, ShardLookups } from './shard-lookups.ts';

/** A put that is sent again. */
export interface Repetition {
  readonly id: string;
  /** In the order of the put, each with the shard that it would go to now. */
  readonly records: readonly { readonly wire: RecordWire; readonly shard: number }[];
}

export interface EarlierHomesPorts {
  readonly shards: Pick<ShardLookups, 'ask'>;
  /** Sends a part with `keep` and `repeat`. */
  readonly keep: (part: PutPart) => Promise<readonly RecordReceipt[]>;
}

/** Answers that leave open whether the home has the key. */
const open: ReadonlySet<LookupOutcome> = new Set<LookupOutcome>(['unavailable', 'expired', 'invalid']);

/**
 * The records that a put has stored already at homes which their keys had before the archive was what it is now; a
 * receipt at the place of each of them.
 *
 * A shard knows its own records only. So each other home is asked whether it has the key at all, and is sent the record where it
 * has: with `keep`, which finds the put's own record, or leaves the key as it is. Nothing is stored by that, for a key that
 * is there stays there. What a home does not answer is an error: it may have the record.
 */
export async function receiptsAtEarlierHomes(
  { id, records }: Repetition,
  topology: Topology,
  { shards, keep }: EarlierHomesPorts,
  options: LookupOptions,
): Promise<readonly (RecordReceipt | undefined)[]> {
  const receipts = new Array<RecordReceipt | undefined>(records.length);
  const questions = records.flatMap(({ wire, shard }, place) => {
    const homes = homesOf(topology, storedKeyOf(wire.key)).filter((home) => home !== shard);
    return homes.map((home) => ({ home, place, wire }));
  });
  const byHome = [...Map.groupBy(questions, ({ home }) => home)];
  await Promise.all(
    byHome.map(async ([shard, asked]) => {
      const keys = asked.map(({ wire }) => wire.key);
      const { results } = await shards.ask(shard, keys, { ...options, values: false });
      const there = asked.filter((_, index) => isThere(results[index]));
      if (there.length === 0) return;
      const places = there.map(({ place }) => place);
      const kept = await keep({ id, shard, records: there.map(({ wire }) => wire), places });
      for (const [index, receipt] of kept.entries())
        if (receipt.outcome === 'unchanged') receipts[places[index] ?? 0] = receipt;
    }),
  );
  return receipts;
}

function isThere(result: LookupResult | undefined): boolean {
  if (result !== undefined && !open.has(result.outcome)) return result.outcome !== 'missing';
  const message = result?.error?.message ?? 'no answer';
  throw new ClientError('lookup-failed', `a home of a key that is put again does not say what it has: ${message}`, {
    retriable: true,
    details: { outcome: result?.outcome ?? 'unavailable', reason: result?.error?.code },
  });
}
