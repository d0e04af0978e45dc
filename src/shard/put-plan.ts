/**
 * What each record of a put comes to: the rules of idempotence and of `ifExists`, without any I/O.
 *
 * A put is decided as a whole before anything of it is staged, against what the archive holds (uncommitted records
 * included) and what earlier puts of the same batch have staged. Puts of a batch are decided in their order.
 */

import type { Cursor } from '../freezer/cursor.ts';
import type { Envelope } from './envelope.ts';
import { type IfExists, type PutRecord, type PutRequest, placeOf } from './put-request.ts';
import { ShardError } from './shard-error.ts';

/** A record on its way into the archive; has its cursor once it was appended. */
export interface StagedRecord {
  readonly storedKey: Buffer;
  readonly envelope: Envelope;
  cursor: Cursor | undefined;
}

/** A record of the archive that an outcome rests on. */
export interface PresentRecord {
  readonly cursor: Cursor;
  readonly payload: Uint8Array;
}

export type RecordPlan =
  | { readonly outcome: 'stored'; readonly on: StagedRecord }
  | { readonly outcome: 'unchanged' | 'kept'; readonly on: StagedRecord | { readonly cursor: Cursor } };

/** What was found in the archive about one record of a put; nothing when it was not asked for. */
export interface SeenVersions {
  /** The record that this very put stored before. */
  readonly own?: Cursor | undefined;
  readonly newest?: PresentRecord | undefined;
}

/** Whether a put can be decided without reading. */
export function needsReading(request: PutRequest): boolean {
  return request.redelivered || request.ifExists !== 'append';
}

/** Decides the puts of one batch, one after the other. */
export class BatchPlan {
  readonly staged: StagedRecord[] = [];
  /** Staged versions of a key, newest last; kept only when some put of the batch reads. */
  readonly #byKey: Map<string, StagedRecord[]> | undefined;
  readonly #archivedAtMs: number;

  constructor(requests: readonly PutRequest[], archivedAtMs: number) {
    this.#byKey = requests.some(needsReading) ? new Map() : undefined;
    this.#archivedAtMs = archivedAtMs;
  }

  /** Stages what the put stores, and gives one plan a record; `key-exists` stages nothing. */
  decide(request: PutRequest, seen: readonly SeenVersions[]): readonly RecordPlan[] {
    const plans: RecordPlan[] = [];
    const fresh = new Map<string, StagedRecord[]>();
    for (const [index, record] of request.records.entries()) {
      const plan = this.#decideRecord(request, record, index, seen[index] ?? {}, fresh);
      plans.push(plan);
      if (plan.outcome === 'stored' && this.#byKey !== undefined) push(fresh, keyOf(record), plan.on);
    }
    for (const plan of plans) if (plan.outcome === 'stored') this.staged.push(plan.on);
    for (const [key, records] of fresh) for (const record of records) push(this.#byKey, key, record);
    return plans;
  }

  #decideRecord(
    request: PutRequest,
    record: PutRecord,
    index: number,
    seen: SeenVersions,
    fresh: ReadonlyMap<string, readonly StagedRecord[]>,
  ): RecordPlan {
    const place = placeOf(request, index);
    if (this.#byKey === undefined) return { outcome: 'stored', on: this.#stage(request, record, place) };
    const key = keyOf(record);
    const staged = [...(this.#byKey.get(key) ?? []), ...(fresh.get(key) ?? [])];
    const own = staged.find(({ envelope }) => envelope.putId === request.putId && envelope.recordIndex === place);
    if (own !== undefined) return { outcome: 'unchanged', on: own };
    if (seen.own !== undefined) return { outcome: 'unchanged', on: { cursor: seen.own } };
    const newest = newestOf(staged, seen);
    const verdict = newest === undefined ? 'store' : verdictOn(request.ifExists, record, newest.payload, index);
    if (newest === undefined || verdict === 'store')
      return { outcome: 'stored', on: this.#stage(request, record, place) };
    return { outcome: verdict, on: newest.on };
  }

  #stage(request: PutRequest, record: PutRecord, recordIndex: number): StagedRecord {
    const { putId } = request;
    const { key, payload, storedKey } = record;
    return {
      storedKey,
      cursor: undefined,
      envelope: { putId, recordIndex, archivedAtMs: this.#archivedAtMs, key, payload },
    };
  }
}

interface Newest {
  readonly on: StagedRecord | { readonly cursor: Cursor };
  readonly payload: Uint8Array;
}

function newestOf(staged: readonly StagedRecord[], seen: SeenVersions): Newest | undefined {
  const last = staged.at(-1);
  if (last !== undefined) return { on: last, payload: last.envelope.payload };
  return seen.newest === undefined ? undefined : { on: seen.newest, payload: seen.newest.payload };
}

function verdictOn(
  ifExists: IfExists,
  record: PutRecord,
  newest: Uint8Array,
  index: number,
): 'store' | 'unchanged' | 'kept' {
  switch (ifExists) {
    case 'append':
      return 'store';
    case 'skip-same':
      return record.payload.equals(newest) ? 'unchanged' : 'store';
    case 'keep':
      return 'kept';
    case 'reject':
      throw new ShardError(
        'key-exists',
        `record ${index}: its key has a record already; nothing of the put was stored`,
        {
          details: { record: index },
        },
      );
  }
}

function keyOf(record: PutRecord): string {
  return record.storedKey.toString('latin1');
}

function push(map: Map<string, StagedRecord[]> | undefined, key: string, record: StagedRecord): void {
  const present = map?.get(key);
  if (present === undefined) map?.set(key, [record]);
  else present.push(record);
}
