import { parseCursor } from '../protocol/cursor-text.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { checkKey, storedKeyOf } from '../protocol/record-key.ts';
import type { LookupOutcome, LookupResult } from '../protocol/reply.ts';
import { homesOf, knownShardCountOf, type Topology } from '../protocol/topology.ts';
import { awaited } from './call.ts';
import { ClientError } from './client-error.ts';
import { newestVersion } from './newest-version.ts';
import type { ClientSettings } from './settings.ts';
import type { LookupOptions, LookupTarget, ShardLookups } from './shard-lookups.ts';
import type { TopologyView } from './topology-view.ts';

export type { LookupOptions, LookupTarget } from './shard-lookups.ts';

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

interface Asked {
  readonly position: number;
  readonly target: LookupTarget;
}

/** What a shard is asked for: the target at this index of those that are asked. */
interface Question {
  readonly index: number;
  readonly shard: number;
}

/**
 * Looks records up wherever they may be: a cursor on its shard, a key on all of its homes.
 *
 * The topology is read anew beside the first questions, and homes that this client had not heard of are asked then. So no
 * home is left out that a record had when the call began: what was acknowledged before, to anybody, is found.
 */
export class Lookups {
  readonly #settings: ClientSettings;
  readonly #shards: ShardLookups;
  readonly #topology: TopologyView;

  constructor(settings: ClientSettings, shards: ShardLookups, topology: TopologyView) {
    this.#settings = settings;
    this.#shards = shards;
    this.#topology = topology;
  }

  /** One answer a target, in their order. A failure of the whole call is thrown; one of a target is its answer. */
  async lookup(targets: readonly LookupTarget[], options: LookupOptions): Promise<readonly LookupAnswer[]> {
    const { clock, limits, lookupTimeoutMs } = this.#settings;
    const endMs = clock.monotonicMs() + (options.timeoutMs ?? lookupTimeoutMs);
    const answers = new Array<LookupAnswer>(targets.length);
    let asked: readonly Asked[] = targets.map((target, position) => ({ target, position }));
    for (const { target, position } of asked)
      if (typeof target === 'string') checkKey(target, `targets[${position}]`, limits);
    while (asked.length > 0) {
      const leftMs = Math.max(0, Math.ceil(endMs - clock.monotonicMs()));
      const results = await this.#ask(asked, { ...options, timeoutMs: leftMs });
      for (const [index, { position }] of asked.entries()) answers[position] = answerOf(results[index]);
      asked = askAgain(asked, results);
    }
    return answers;
  }

  /** Asks all homes of all targets at once; gives what their answers come to. */
  async #ask(asked: readonly Asked[], options: LookupOptions): Promise<readonly (LookupResult | undefined)[]> {
    const highest = highestShard(asked);
    const isKnown = highest.shard < knownShardCountOf(this.#topology.current);
    const known = isKnown ? this.#topology.current : await this.#topologyUpTo(highest, options);
    const newest = this.#fresh(options);
    const heard = asked.map((): LookupResult[] => []);
    await this.#hear(asked, questionsOf(asked, known), heard, options);
    const added = await newest.then((topology) => questionsOf(asked, topology, known));
    if (added.length > 0) await this.#hear(asked, added, heard, options);
    return heard.map(newestVersion);
  }

  /** Asks each shard its questions, and files the answers. When no shard answers at all, it throws the first reason. */
  async #hear(
    asked: readonly Asked[],
    questions: readonly Question[],
    heard: readonly LookupResult[][],
    options: LookupOptions,
  ): Promise<void> {
    const byShard = [...Map.groupBy(questions, ({ shard }) => shard)];
    const answers = await Promise.all(
      byShard.map(async ([shard, ofShard]) => {
        const targets = ofShard.flatMap(({ index }) => asked[index]?.target ?? []);
        const answer = await this.#shards.ask(shard, targets, options);
        for (const [place, { index }] of ofShard.entries()) {
          const result = answer.results[place];
          if (result !== undefined) heard[index]?.push(result);
        }
        return answer;
      }),
    );
    const [failure] = answers.flatMap((answer) => answer.failure ?? []);
    if (failure === undefined) return;
    if (heard.every((results) => results.every((result) => result.outcome === 'unavailable'))) throw failure;
  }

  /** The newest topology, if a cursor of this shard can be one of it. Errors: ProtocolError `invalid-cursor`. */
  async #topologyUpTo({ shard, position }: HighestShard, options: LookupOptions): Promise<Topology> {
    const topology = await this.#fresh(options);
    const count = knownShardCountOf(topology);
    if (shard < count) return topology;
    // A shard that nobody works for would never answer, and keep the question.
    const field = `targets[${position}].cursor`;
    const has = `the archive has shard${count === 1 ? ' 0' : `s 0 to ${count - 1}`}`;
    const details = { field, found: shard, max: count - 1 };
    throw new ProtocolError('invalid-cursor', `${field}: it is of shard ${shard}, ${has}`, { details });
  }

  #fresh(options: LookupOptions): Promise<Topology> {
    const { clock, lookupTimeoutMs } = this.#settings;
    return awaited(this.#topology.fresh(), clock, { ...options, timeoutMs: options.timeoutMs ?? lookupTimeoutMs });
  }
}

/** Each target at each of its homes; without those at homes that it has by the topology `but`, too. */
function questionsOf(asked: readonly Asked[], topology: Topology, but?: Topology): readonly Question[] {
  if (topology === but) return [];
  return asked.flatMap(({ target }, index) => {
    const known = but === undefined ? [] : shardsOf(target, but);
    const shards = shardsOf(target, topology).filter((shard) => !known.includes(shard));
    return shards.map((shard) => ({ index, shard }));
  });
}

function shardsOf(target: LookupTarget, topology: Topology): readonly number[] {
  if (typeof target !== 'string') return [parseCursor(target.cursor).shard];
  return knownShardCountOf(topology) === 1 ? [0] : homesOf(topology, storedKeyOf(target));
}

/** The highest shard that a cursor names, and where that cursor stands. */
interface HighestShard {
  readonly shard: number;
  readonly position: number;
}

function highestShard(asked: readonly Asked[]): HighestShard {
  let highest = { shard: 0, position: 0 };
  for (const { target, position } of asked) {
    if (typeof target === 'string') continue;
    const { shard } = parseCursor(target.cursor, `targets[${position}].cursor`);
    if (shard > highest.shard) highest = { shard, position };
  }
  return highest;
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
function askAgain(asked: readonly Asked[], results: readonly (LookupResult | undefined)[]): readonly Asked[] {
  const rest = asked.filter((_, index) => results[index]?.outcome === 'too-large');
  return rest.length < asked.length ? rest : [];
}
