/**
 * Reads the finished jobs of a queue, oldest first, a page at a time.
 *
 * A pass has a fixed end, so jobs that finish meanwhile are for the next one. The place in the set is a score with the ids
 * seen at it, not a rank: jobs that leave while the pass is under way make it jump over none.
 */
import { isUtf8 } from 'node:buffer';
import { present } from '../base/assert.ts';
import type { JobSnapshot, Pair, StayReason } from './job-snapshot.ts';
import { type FinishedState, type QueueAddress, queueKey } from './queue-address.ts';
import type { QueueRedis, ScriptCall } from './queue-redis.ts';
import { pageScript, readScript } from './scripts.ts';

/** A job that a page names. */
export interface FinishedId {
  readonly id: Buffer;
  readonly score: string;
}

export interface PassBounds {
  /** No job that finished later. */
  readonly finishedMsMax: number;
  /** So many of the newest stay. */
  readonly keepCount: number;
}

/** What was found of a job: all of it, or why it stays. */
export type JobReading =
  | { readonly kind: 'job'; readonly job: JobSnapshot; readonly bytes: number }
  | { readonly kind: 'stays'; readonly id: string; readonly reason: StayReason; readonly bytes?: number };

/** Bytes above which a job is read by itself, so that a page of them needs little memory. */
const togetherBytesMax = 256 * 1024;

export class FinishedJobs {
  readonly #redis: QueueRedis;
  readonly #address: QueueAddress;
  readonly #state: FinishedState;
  readonly #jobBytesMax: number;

  constructor(redis: QueueRedis, address: QueueAddress, state: FinishedState, jobBytesMax: number) {
    this.#redis = redis;
    this.#address = address;
    this.#state = state;
    this.#jobBytesMax = jobBytesMax;
  }

  /** About how many jobs a pass will meet. */
  async count({ finishedMsMax, keepCount }: PassBounds): Promise<number> {
    const key = queueKey(this.#address, this.#state);
    const [ended, all] = await Promise.all([
      this.#redis.connection.zcount(key, '-inf', finishedMsMax),
      this.#redis.connection.zcard(key),
    ]);
    return Math.max(0, Math.min(ended, all - keepCount));
  }

  /** Every job of a pass once, in pages of at most `pageCount`. */
  async *pages({ finishedMsMax, keepCount }: PassBounds, pageCount: number): AsyncGenerator<readonly FinishedId[]> {
    let score = '-inf';
    let seen = new Set<string>();
    for (;;) {
      const args = [score, finishedMsMax, pageCount + seen.size, keepCount];
      const reply = await this.#redis.runOne(pageScript, { keys: [queueKey(this.#address, this.#state)], args });
      const [bound, all] = asLists(reply);
      const listed = idsIn(all ?? []);
      const [newest] = idsIn(bound ?? []);
      const page = listed.filter((each) => !seen.has(nameOf(each)) && isUpTo(each, newest));
      if (page.length > 0) yield page;
      const last = listed.at(-1);
      if (page.length === 0 || last === undefined) return;
      if (last.score !== score) seen = new Set();
      score = last.score;
      for (const each of page) if (each.score === score) seen.add(nameOf(each));
    }
  }

  /** What there is now of each job: of those that can be read together first, then of each large one by itself. */
  async *read(ids: readonly FinishedId[]): AsyncGenerator<readonly JobReading[]> {
    const calls = ids.map((each) => this.#readCall(each, togetherBytesMax));
    const replies = await this.#redis.run(readScript, calls);
    const readings = ids.map((each, index) => this.#readingOf(each, replies[index]));
    yield readings.flatMap((reading) => reading ?? []);
    for (const [index, each] of ids.entries()) if (readings[index] === undefined) yield [await this.#readLarge(each)];
  }

  async #readLarge(each: FinishedId): Promise<JobReading> {
    const reply = await this.#redis.runOne(readScript, this.#readCall(each, this.#jobBytesMax));
    const [, size] = asList(reply);
    const bytes = Number(textOf(size));
    return this.#readingOf(each, reply) ?? { kind: 'stays', id: each.id.toString(), reason: 'too-large', bytes };
  }

  #readCall({ id }: FinishedId, bytesMax: number): ScriptCall {
    return { keys: jobKeys(this.#address, this.#state, id.toString()), args: [id.toString(), bytesMax] };
  }

  /** `undefined` for one that is too large to be read with others. */
  #readingOf(each: FinishedId, reply: unknown): JobReading | undefined {
    const id = each.id.toString();
    // No client of BullMQ writes such an id, and the archive's keys are text.
    if (!isUtf8(each.id)) return { kind: 'stays', id, reason: 'refused' };
    const [word, score, digest, fields, logs, processed, failed, unsuccessful] = asList(reply);
    const verdict = textOf(word);
    if (verdict === 'large') return undefined;
    if (verdict !== 'ok') return { kind: 'stays', id, reason: verdict as StayReason };
    // An infinite score: JSON has no such number.
    if (!Number.isFinite(Number(textOf(score)))) return { kind: 'stays', id, reason: 'refused' };
    const job: JobSnapshot = {
      id,
      state: this.#state,
      finishedOn: Number(textOf(score)),
      score: textOf(score),
      digest: textOf(digest),
      fields: pairsIn(asBuffers(fields)),
      logs: asBuffers(logs),
      processedChildren: pairsIn(asBuffers(processed)),
      failedChildren: pairsIn(asBuffers(failed)),
      unsuccessfulChildren: asBuffers(unsuccessful),
    };
    return { kind: 'job', job, bytes: bytesOf(job) };
  }
}

/** The Redis keys that the scripts take for a job: itself, its set, and the schedulers. */
export function jobKeys(address: QueueAddress, state: FinishedState, id: string): readonly string[] {
  return [queueKey(address, id), queueKey(address, state), queueKey(address, 'repeat')];
}

/** The set's own order: by score, then by the bytes of the id. */
function isUpTo(each: FinishedId, bound: FinishedId | undefined): boolean {
  if (bound === undefined) return false;
  const [score, boundScore] = [scoreOf(each), scoreOf(bound)];
  return score < boundScore || (score === boundScore && Buffer.compare(each.id, bound.id) <= 0);
}

/** Redis writes infinity in a way of its own. */
function scoreOf({ score }: FinishedId): number {
  return Number(score.replace('inf', 'Infinity'));
}

function nameOf({ id }: FinishedId): string {
  return id.toString('latin1');
}

function idsIn(flat: readonly unknown[]): readonly FinishedId[] {
  return pairsIn(asBuffers(flat)).map(([id, score]) => ({ id, score: score.toString() }));
}

function bytesOf({ fields, logs, processedChildren }: JobSnapshot): number {
  const pairs = [...fields, ...processedChildren].reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return logs.reduce((sum, line) => sum + line.length, pairs);
}

function pairsIn(flat: readonly Buffer[]): readonly Pair[] {
  const pairs: Pair[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    pairs.push([present(flat[index], 'a name'), present(flat[index + 1], 'a value')]);
  return pairs;
}

function asList(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function asLists(reply: unknown): readonly (readonly unknown[])[] {
  return asList(reply).map(asList);
}

function asBuffers(reply: unknown): readonly Buffer[] {
  return asList(reply).flatMap((each) => (Buffer.isBuffer(each) ? [each] : []));
}

function textOf(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString() : '';
}
