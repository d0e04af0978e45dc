/** Decides and appends a batch of puts. */

import { present } from '../base/assert.ts';
import { codeOf } from '../base/errors.ts';
import type { Freezer } from '../freezer/freezer.ts';
import type { Envelope } from './envelope.ts';
import type { PendingPut } from './pending-put.ts';
import { BatchPlan, type SeenVersions } from './put-plan.ts';
import { type Looking, lookBefore, type PutSight } from './seen-versions.ts';
import { ShardError } from './shard-error.ts';

export interface RefusedPut {
  readonly put: PendingPut;
  readonly error: Error;
}

/** What became of a batch that was not cut short. */
export interface AppendedBatch {
  readonly appended: readonly PendingPut[];
  /** Puts of which nothing was appended. */
  readonly refused: readonly RefusedPut[];
}

/**
 * Appends the puts of a batch in their order, with one call, archived at `nowMs`. A put that cannot be decided or stored
 * is refused alone.
 * Throws only when the freezer was poisoned; then nothing is known about the batch.
 */
export async function appendBatch(
  freezer: Freezer<Envelope>,
  puts: readonly PendingPut[],
  looking: Looking,
): Promise<AppendedBatch> {
  const requests = puts.map((put) => put.current);
  const sights = await lookBefore(freezer, requests, looking);
  const plan = new BatchPlan(requests, looking.nowMs);
  const decided: PendingPut[] = [];
  const refused: RefusedPut[] = [];
  for (const [index, put] of puts.entries()) {
    const failure = decide(plan, put, present(sights[index], 'a sight a put'));
    if (failure === undefined) decided.push(put);
    else refused.push({ put, error: failure });
  }
  try {
    await store(freezer, plan);
    return { appended: decided, refused };
  } catch (error) {
    if (freezer.poisoned !== undefined) throw error;
    return oneByOne(freezer, decided, refused, looking, error);
  }
}

function decide(plan: BatchPlan, put: PendingPut, sight: PutSight): Error | undefined {
  if (sight instanceof Error) return sight;
  try {
    put.appended(plan.decide(put.current, sight satisfies readonly SeenVersions[]));
    return undefined;
  } catch (error) {
    if (error instanceof ShardError) return error;
    throw error;
  }
}

async function store(freezer: Freezer<Envelope>, plan: BatchPlan): Promise<void> {
  if (plan.staged.length === 0) return;
  const appended = await freezer.putMany(
    plan.staged.map(({ storedKey, envelope }) => ({ key: storedKey, value: envelope })),
  );
  for (const [index, staged] of plan.staged.entries())
    staged.cursor = present(appended[index], 'one outcome an entry').cursor;
}

/** The freezer took nothing because of some record: finds out whose, so that no other put pays for it. */
async function oneByOne(
  freezer: Freezer<Envelope>,
  puts: readonly PendingPut[],
  refused: readonly RefusedPut[],
  looking: Looking,
  error: unknown,
): Promise<AppendedBatch> {
  const [only] = puts;
  if (only !== undefined && puts.length === 1)
    return { appended: [], refused: [...refused, { put: only, error: refusalOf(error) }] };
  const appended: PendingPut[] = [];
  const others: RefusedPut[] = [];
  for (const put of puts) {
    const outcome = await appendBatch(freezer, [put], looking);
    appended.push(...outcome.appended);
    others.push(...outcome.refused);
  }
  return { appended, refused: [...refused, ...others] };
}

function refusalOf(error: unknown): Error {
  if (codeOf(error) === 'corruption' || !(error instanceof Error)) {
    return new ShardError('corrupt-chain', 'a put met a damaged bucket of the table', { cause: error });
  }
  return error;
}
