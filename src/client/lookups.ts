import { randomUUID } from 'node:crypto';
import { parseCursor } from '../protocol/cursor-text.ts';
import { encodeLookupJob } from '../protocol/lookup-job.ts';
import type { ClientId } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { checkKey, shardOf, storedKeyOf } from '../protocol/record-key.ts';
import type { LookupOutcome, LookupResult } from '../protocol/reply.ts';
import { Call, type WaitOptions } from './call.ts';
import { ClientError } from './client-error.ts';
import type { JobSender } from './job-sender.ts';
import type { ReplyRouter } from './reply-router.ts';
import type { ClientSettings } from './settings.ts';

/** What is looked up: a key, or a cursor from a receipt or an earlier lookup. */
export type LookupTarget = string | { readonly cursor: string };

export interface LookupOptions extends WaitOptions {
  /** Whether the answer carries the values. Default: true. */
  readonly values?: boolean | undefined;
}

/** A record that was found. */
export interface FoundRecord {
  readonly key: string | undefined;
  readonly cursor: string | undefined;
  /** Empty if values were not asked for. */
  readonly value: Buffer;
  /** Bytes of the value in the archive. */
  readonly size: number | undefined;
  /** When it was archived, in milliseconds since the Unix epoch. */
  readonly time: number | undefined;
}

/** How the lookup of one target ended. */
export type LookupAnswer =
  | ({ readonly outcome: 'found' } & FoundRecord)
  | { readonly outcome: 'missing' }
  | { readonly outcome: Exclude<LookupOutcome, 'found' | 'missing'>; readonly error: ClientError };

/** Targets a job: enough to share the cost of a job, few enough to share the shard. */
const targetCount = 100;

interface Asked {
  readonly position: number;
  readonly target: LookupTarget;
}

/** Sends lookups and waits for their replies. */
export class Lookups {
  readonly #settings: ClientSettings;
  readonly #client: ClientId;
  readonly #sender: JobSender;
  readonly #router: ReplyRouter;

  constructor(settings: ClientSettings, client: ClientId, sender: JobSender, router: ReplyRouter) {
    this.#settings = settings;
    this.#client = client;
    this.#sender = sender;
    this.#router = router;
  }

  /** One answer a target, in their order. A failure of the whole call is thrown; one of a target is its answer. */
  async lookup(targets: readonly LookupTarget[], options: LookupOptions): Promise<readonly LookupAnswer[]> {
    const { clock, lookupTimeoutMs } = this.#settings;
    const timeoutMs = options.timeoutMs ?? lookupTimeoutMs;
    const endMs = clock.monotonicMs() + timeoutMs;
    const answers = new Array<LookupAnswer>(targets.length);
    let asked: readonly Asked[] = targets.map((target, position) => ({ target, position }));
    while (asked.length > 0) {
      const leftMs = Math.max(0, Math.ceil(endMs - clock.monotonicMs()));
      const results = await this.#ask(asked, { ...options, timeoutMs: leftMs });
      for (const [index, { position }] of asked.entries()) answers[position] = answerOf(results[index]);
      asked = askAgain(asked, results);
    }
    return answers;
  }

  /** Asks for all at once, in jobs by shard. */
  async #ask(asked: readonly Asked[], options: LookupOptions): Promise<readonly LookupResult[]> {
    const results = new Array<LookupResult>(asked.length);
    const byShard = Map.groupBy(asked.keys(), (index) => this.#shardOf(asked[index]));
    const jobs = [...byShard].flatMap(([shard, indexes]) => chunks(indexes).map((part) => ({ shard, part })));
    await Promise.all(
      jobs.map(async ({ shard, part }) => {
        const ordered = [...part].sort((left, right) => rank(asked[left]) - rank(asked[right]));
        const targets = ordered.flatMap((index) => asked[index]?.target ?? []);
        const answered = await this.#send(shard, targets, options);
        for (const [position, index] of ordered.entries()) {
          const result = answered[position];
          if (result !== undefined) results[index] = result;
        }
      }),
    );
    return results;
  }

  async #send(
    shard: number,
    targets: readonly LookupTarget[],
    options: LookupOptions,
  ): Promise<readonly LookupResult[]> {
    const { clock, lookupTimeoutMs } = this.#settings;
    const timeoutMs = options.timeoutMs ?? lookupTimeoutMs;
    const call = new Call<readonly LookupResult[]>(clock, timeoutMs, options.signal);
    const id = randomUUID();
    if (this.#router.expectReply(id, call)) {
      const job = encodeLookupJob({
        id,
        replyTo: { kind: 'client', client: this.#client },
        keys: targets.filter((target) => typeof target === 'string'),
        cursors: targets.flatMap((target) => (typeof target === 'string' ? [] : target.cursor)),
        values: options.values,
        deadline: Math.ceil(clock.wallMs() + timeoutMs),
      });
      // Not awaited: during an outage it takes longer than the call, which it rejects if it fails.
      void this.#sender.sendLookup(shard, job, call);
    }
    const results = await call.promise;
    if (results.length === targets.length) return results;
    const message = `a reply with ${results.length} results, ${targets.length} were asked for`;
    throw new ProtocolError('invalid-field', `results: ${message}`, { details: { field: 'results' } });
  }

  #shardOf(asked: Asked | undefined): number {
    const { limits, shardCount } = this.#settings;
    const target = asked?.target ?? '';
    const field = `targets[${asked?.position}]`;
    if (typeof target !== 'string') return this.#knownShard(target.cursor, `${field}.cursor`);
    checkKey(target, field, limits);
    return shardCount === 1 ? 0 : shardOf(storedKeyOf(target), shardCount);
  }

  /** A shard that nobody works for would never answer, and keep the question. */
  #knownShard(cursor: string, field: string): number {
    const { shard } = parseCursor(cursor, field);
    const { shardCount } = this.#settings;
    if (shard < shardCount) return shard;
    throw new ProtocolError(
      'invalid-cursor',
      `${field}: it is of shard ${shard}, this client knows shard${shardCount === 1 ? ' 0' : `s 0 to ${shardCount - 1}`} (shardCount)`,
      { details: { field, found: shard, max: shardCount - 1 } },
    );
  }
}

function answerOf(result: LookupResult | undefined): LookupAnswer {
  if (result === undefined) return failed('unavailable', undefined);
  const { outcome, key, cursor, size, time } = result;
  if (outcome === 'missing') return { outcome };
  if (outcome === 'found') return { outcome, key, cursor, size, time, value: result.value ?? Buffer.alloc(0) };
  return failed(outcome, result);
}

function failed(outcome: Exclude<LookupOutcome, 'found' | 'missing'>, result: LookupResult | undefined): LookupAnswer {
  const message = result?.error?.message ?? 'no record could be read';
  const error = new ClientError('lookup-failed', `${outcome}: ${message}`, {
    retriable: outcome === 'unavailable' || outcome === 'expired',
    details: { outcome, reason: result?.error?.code, limit: result?.error?.limit },
  });
  return { outcome, error };
}

/** What did not fit into the reply, if something did: then asking for the rest alone gets further. */
function askAgain(asked: readonly Asked[], results: readonly LookupResult[]): readonly Asked[] {
  const rest = asked.filter((_, index) => results[index]?.outcome === 'too-large');
  return rest.length < asked.length ? rest : [];
}

/** Within one job keys come before cursors; the sort keeps the order otherwise. */
function rank(asked: Asked | undefined): number {
  return typeof asked?.target === 'string' ? 0 : 1;
}

function chunks(indexes: readonly number[]): readonly (readonly number[])[] {
  const parts: (readonly number[])[] = [];
  for (let start = 0; start < indexes.length; start += targetCount)
    parts.push(indexes.slice(start, start + targetCount));
  return parts;
}
