/** Reads what the archive holds about the records of puts that cannot be decided without it. */
import { codeOf, messageOf } from '../base/errors.ts';
import type { Freezer } from '../freezer/freezer.ts';
import type { Envelope } from './envelope.ts';
import { needsReading, type SeenVersions } from './put-plan.ts';
import type { PutRecord, PutRequest } from './put-request.ts';
import { ShardError } from './shard-error.ts';

/** Chains that are walked side by side. */
const walksMax = 32;

/** What was seen for each record of a put, or why it cannot be known. */
export type PutSight = readonly SeenVersions[] | Error;

/** One sight for each put, in their order; empty for puts that need none. */
export async function lookBefore(
  freezer: Freezer<Envelope>,
  requests: readonly PutRequest[],
): Promise<readonly PutSight[]> {
  const sights: PutSight[] = requests.map(() => []);
  const reading = [...requests.entries()].filter(([, request]) => needsReading(request));
  const first = reading.filter(([, request]) => !request.redelivered);
  const newest = await newestOf(
    freezer,
    first.map(([, request]) => request),
  );
  for (const [at, [index]] of first.entries()) sights[index] = newest[at] ?? [];
  for (const [index, request] of reading) {
    if (request.redelivered) sights[index] = await walkAll(freezer, request);
  }
  return sights;
}

/** Newest versions of the keys of puts that are delivered for the first time, all in one read. */
async function newestOf(freezer: Freezer<Envelope>, requests: readonly PutRequest[]): Promise<readonly PutSight[]> {
  const keys = requests.flatMap(({ records }) => records.map(({ storedKey }) => ({ key: storedKey })));
  if (keys.length === 0) return [];
  const found = await freezer.lookupMany(keys);
  let at = 0;
  return requests.map(({ records }): PutSight => {
    const seen: SeenVersions[] = [];
    let failure: Error | undefined;
    for (const record of records) {
      const lookup = found[at++];
      if (lookup?.kind === 'failed') failure ??= unreadable(lookup.error);
      if (lookup?.kind !== 'found') seen.push({});
      else {
        failure ??= otherKey(lookup.value, record);
        seen.push({ newest: { cursor: lookup.cursor, payload: lookup.value.payload } });
      }
    }
    return failure ?? seen;
  });
}

async function walkAll(freezer: Freezer<Envelope>, request: PutRequest): Promise<PutSight> {
  const seen: SeenVersions[] = [];
  try {
    for (let from = 0; from < request.records.length; from += walksMax) {
      const records = request.records.slice(from, from + walksMax);
      const walks = records.map((record, at) => walk(freezer, request.putId, from + at, record));
      seen.push(...(await Promise.all(walks)));
    }
  } catch (error) {
    return error instanceof ShardError ? error : unreadable(error);
  }
  return seen;
}

/** Walks the versions of a key, newest first, until the one that this put stored. */
async function walk(
  freezer: Freezer<Envelope>,
  putId: string,
  recordIndex: number,
  record: PutRecord,
): Promise<SeenVersions> {
  let newest: SeenVersions['newest'];
  for await (const { value, cursor } of freezer.versions(record.storedKey)) {
    const other = otherKey(value, record);
    if (other !== undefined) throw other;
    newest ??= { cursor, payload: value.payload };
    if (value.putId === putId && value.recordIndex === recordIndex) return { newest, own: cursor };
  }
  return { newest };
}

function otherKey(found: Envelope, record: PutRecord): ShardError | undefined {
  if (found.key === record.key) return undefined;
  return new ShardError('corrupt-chain', 'a record that is filed under the key of this put has another key');
}

/** Damage is the put's end; anything else, as a disk that does not answer, may pass. */
function unreadable(error: unknown): Error {
  if (codeOf(error) !== 'corruption' && error instanceof Error) return error;
  return new ShardError('corrupt-chain', `the versions of a key cannot be read: ${messageOf(error)}`, { cause: error });
}
