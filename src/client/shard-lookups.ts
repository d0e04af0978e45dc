import { randomUUID } from 'node:crypto';
import { encodeLookupJob } from '../protocol/lookup-job.ts';
import type { ClientId } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { LookupResult } from '../protocol/reply.ts';
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

/** What a shard said, or that it said nothing in time: then every result is `unavailable`, and `failure` says why. */
export interface ShardAnswer {
  /** One a target, in their order. */
  readonly results: readonly LookupResult[];
  readonly failure?: ClientError;
}

/** Targets a job: enough to share the cost of a job, few enough to share the shard. */
const targetCount = 100;
/** Of a call that this client itself did not send; asking the other shards goes no better. */
const unsentCodes: ReadonlySet<string> = new Set(['too-many-calls', 'backlog-full']);

/** Asks one shard, and waits for its reply. */
export class ShardLookups {
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

  /** Asks for all targets at once, in jobs of a good size. Throws when the call as a whole cannot go on. */
  async ask(shard: number, targets: readonly LookupTarget[], options: LookupOptions): Promise<ShardAnswer> {
    const order = [...targets.keys()].sort((left, right) => rank(targets[left]) - rank(targets[right]));
    const results = new Array<LookupResult>(targets.length);
    const failures: ClientError[] = [];
    await Promise.all(
      chunksOf(order).map(async (part) => {
        const asked = part.flatMap((index) => targets[index] ?? []);
        const answer = await this.#askOnce(shard, asked, options);
        if (answer.failure !== undefined) failures.push(answer.failure);
        for (const [place, index] of part.entries()) {
          const result = answer.results[place];
          if (result !== undefined) results[index] = result;
        }
      }),
    );
    const [failure] = failures;
    return failure === undefined ? { results } : { results, failure };
  }

  async #askOnce(shard: number, targets: readonly LookupTarget[], options: LookupOptions): Promise<ShardAnswer> {
    try {
      return { results: await this.#send(shard, targets, options) };
    } catch (error) {
      if (!(error instanceof ClientError) || !error.retriable || unsentCodes.has(error.code)) throw error;
      const reason = { code: 'unavailable', message: `shard ${shard}: ${error.message}` };
      const results = targets.map((target) => ({ ...echo(target), outcome: 'unavailable' as const, error: reason }));
      return { results, failure: error };
    }
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
}

function echo(target: LookupTarget): { readonly key: string } | { readonly cursor: string } {
  return typeof target === 'string' ? { key: target } : { cursor: target.cursor };
}

/** Within one job keys come before cursors; the sort keeps the order otherwise. */
function rank(target: LookupTarget | undefined): number {
  return typeof target === 'string' ? 0 : 1;
}

function chunksOf(indexes: readonly number[]): readonly (readonly number[])[] {
  const parts: (readonly number[])[] = [];
  for (let start = 0; start < indexes.length; start += targetCount)
    parts.push(indexes.slice(start, start + targetCount));
  return parts;
}
