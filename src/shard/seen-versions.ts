/** Reads what the archive holds about the records of puts that cannot be decided without it. */
import { present } from '../base/assert.ts';
import type { Freezer } from '../freezer/freezer.ts';
import type { Envelope } from './envelope.ts';
import { KeyWalk, otherKey, unreadable } from './key-walk.ts';
import { needsReading, type SeenVersions } from './put-plan.ts';
import type { PutRecord, PutRequest } from './put-request.ts';

/** Chains that are walked side by side. */
const walksMax = 32;

/** What was seen for each record of a put, or why it cannot be known. */
export type PutSight = readonly SeenVersions[] | Error;

export interface Looking {
  /** Wall clock of the worker. */
  readonly nowMs: number;
  /** Asked again and again: whether long walks are still wanted. */
  readonly mayGoOn: () => boolean;
}

/** One sight for each put, in their order; empty for puts that need none. */
export async function lookBefore(
  freezer: Freezer<Envelope>,
  requests: readonly PutRequest[],
  looking: Looking,
): Promise<readonly PutSight[]> {
  const sights: PutSight[] = requests.map(() => []);
  const reading = [...requests.entries()].filter(([, request]) => needsReading(request));
  const first = reading.filter(([, request]) => !request.redelivered);
  const newest = await newestOf(
    freezer,
    first.map(([, request]) => request),
  );
  for (const [at, [index]] of first.entries()) sights[index] = newest[at] ?? [];
  const again = reading.filter(([, request]) => request.redelivered);
  const walked = await walkAll(
    freezer,
    again.map(([, request]) => request),
    looking,
  );
  for (const [at, [index]] of again.entries()) sights[index] = walked[at] ?? [];
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

/** Walks each key once, for all records of the puts that are filed under it. */
async function walkAll(
  freezer: Freezer<Envelope>,
  requests: readonly PutRequest[],
  { nowMs, mayGoOn }: Looking,
): Promise<readonly PutSight[]> {
  const walks = new Map<string, KeyWalk>();
  for (const request of requests) {
    for (const [index, record] of request.records.entries()) {
      const walk = walks.get(nameOf(record)) ?? new KeyWalk(record);
      walks.set(nameOf(record), walk);
      walk.expect(request, index, nowMs);
    }
  }
  const all = [...walks.values()];
  for (let from = 0; from < all.length; from += walksMax) {
    await Promise.all(all.slice(from, from + walksMax).map((walk) => walk.run(freezer, mayGoOn)));
  }
  return requests.map((request) => sightOf(request, walks));
}

function sightOf(request: PutRequest, walks: ReadonlyMap<string, KeyWalk>): PutSight {
  const seen: SeenVersions[] = [];
  for (const [index, record] of request.records.entries()) {
    const sight = present(walks.get(nameOf(record)), 'a walk a key').sightOf(request, index);
    if (sight instanceof Error) return sight;
    seen.push(sight);
  }
  return seen;
}

function nameOf(record: PutRecord): string {
  return record.storedKey.toString('latin1');
}
