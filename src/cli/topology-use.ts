import { type ArchiveName, parseArchiveName } from '../protocol/names.ts';
import { shardCountOf, type Topology, withGeneration } from '../protocol/topology.ts';
import { type ArchiveSurvey, isUnused, surveyArchive, withoutWorker } from '../queue/archive-survey.ts';
import { awaitReady, dropConnection, openConnection } from '../queue/connection.ts';
import { replaceTopology } from '../queue/topology-store.ts';
import type { Config } from '../service/config.ts';
import { redisSettings, shownAddress } from '../service/redis-link.ts';
import { countText } from './amounts.ts';
import { type ExitCode, exitCodes, type Terminal } from './command.ts';

type Connection = ReturnType<typeof openConnection>;

const pollIntervalMs = 500;

/** As they are typed. */
export interface TopologyOptions {
  readonly force: boolean;
  readonly wait: number;
  readonly json: boolean;
}

/** What came of a change: it was made (or was not needed), or why not; or somebody else changed the topology first. */
type Outcome =
  | { readonly kind: 'done' | 'unchanged' | 'overtaken' }
  | { readonly kind: 'refused'; readonly why: string };

/** One use of the command, on a connection of its own. */
export class TopologyUse implements AsyncDisposable {
  readonly #redis: Connection;
  readonly #archive: ArchiveName;
  readonly #terminal: Terminal;
  readonly #options: TopologyOptions;

  constructor(redis: Connection, archive: ArchiveName, terminal: Terminal, options: TopologyOptions) {
    this.#redis = redis;
    this.#archive = archive;
    this.#terminal = terminal;
    this.#options = options;
  }

  static async connect(config: Config, options: TopologyOptions, terminal: Terminal): Promise<TopologyUse> {
    const archive = parseArchiveName(config.archive);
    const redis = openConnection(redisSettings(config), 'topology');
    // Told by `awaitReady`; later ones by the commands that they fail.
    redis.on('error', () => {});
    try {
      await awaitReady(redis, shownAddress(config), config.redis.startTimeoutMs, terminal.clock);
      return new TopologyUse(redis, archive, terminal, options);
    } catch (error) {
      dropConnection(redis);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    dropConnection(this.#redis);
  }

  async show(): Promise<ExitCode> {
    const survey = await surveyArchive(this.#redis, this.#archive);
    const text = this.#options.json
      ? `${JSON.stringify(document(this.#archive, survey), null, 2)}\n`
      : page(this.#archive, survey);
    this.#terminal.output.write(text);
    return exitCodes.done;
  }

  async change(action: 'grow' | 'shrink', shards: number): Promise<ExitCode> {
    for (;;) {
      const before = await surveyArchive(this.#redis, this.#archive);
      const outcome = await this.#attempt(action, shards, before);
      if (outcome.kind === 'overtaken') continue;
      return this.#tell(outcome, shards, before);
    }
  }

  async #attempt(action: 'grow' | 'shrink', shards: number, { stored, topology }: ArchiveSurvey): Promise<Outcome> {
    const current = shardCountOf(topology);
    const begins = await isUnused(this.#redis, this.#archive, stored);
    if (current === shards && stored !== undefined) return { kind: 'unchanged' };
    if (action === 'grow' && shards < current)
      return refused(`puts go to ${current} shards already; shrink does with fewer`);
    if (action === 'shrink' && shards > current)
      return refused(`puts go to ${current} shards only; grow does with more`);
    const added = numbers(begins ? 0 : current, shards);
    const idle = this.#options.force ? [] : await this.#withoutWorker(added);
    if (this.#terminal.interrupted.aborted) return refused('interrupted');
    if (idle.length > 0)
      return refused(
        `${named(idle)} ${idle.length === 1 ? 'has' : 'have'} no live worker: what is put there would wait (--force does it all the same)`,
      );
    const generation = { shards, time: this.#terminal.clock.wallMs() };
    const next: Topology =
      begins || shards === current ? { generations: [generation] } : withGeneration(topology, generation);
    const written = await replaceTopology(this.#redis, this.#archive, stored, next);
    return { kind: written ? 'done' : 'overtaken' };
  }

  /** Waits for workers as long as it was told to. */
  async #withoutWorker(shards: readonly number[]): Promise<readonly number[]> {
    const { clock, interrupted, notes } = this.#terminal;
    const endMs = clock.monotonicMs() + this.#options.wait * 1000;
    let told = '';
    for (;;) {
      const idle = await withoutWorker(this.#redis, this.#archive, shards);
      if (idle.length === 0 || interrupted.aborted || clock.monotonicMs() >= endMs) return idle;
      if (told !== named(idle)) notes.write(`waiting for workers of ${named(idle)}\n`);
      told = named(idle);
      await new Promise<void>((resolve) => clock.after(pollIntervalMs, resolve));
    }
  }

  async #tell(outcome: Outcome, shards: number, before: ArchiveSurvey): Promise<ExitCode> {
    const { output, notes, interrupted } = this.#terminal;
    if (this.#options.json) {
      const after = await surveyArchive(this.#redis, this.#archive);
      const why = outcome.kind === 'refused' ? { reason: outcome.why } : {};
      output.write(
        `${JSON.stringify({ outcome: outcome.kind, ...why, ...document(this.#archive, after) }, null, 2)}\n`,
      );
    }
    if (outcome.kind === 'refused') {
      notes.write(`permafrost topology: not changed: ${outcome.why}\n`);
      return interrupted.aborted ? exitCodes.interrupted : exitCodes.negative;
    }
    if (!this.#options.json) output.write(`${changeText(outcome.kind === 'done', shards, before)}\n`);
    return exitCodes.done;
  }
}

function refused(why: string): Outcome {
  return { kind: 'refused', why };
}

function changeText(changed: boolean, shards: number, { stored, topology }: ArchiveSurvey): string {
  const to = shards === 1 ? 'shard 0' : `shards 0 to ${shards - 1}`;
  if (!changed) return `Puts go to ${to} already; nothing was changed.`;
  const current = shardCountOf(topology);
  const before = stored === undefined ? '' : ` (before: ${current})`;
  const kept = shards < current ? ` The workers of ${named(numbers(shards, current))} must stay, for lookups.` : '';
  return `Puts go to ${to} from now on${before}; clients hear of it within seconds.${kept}`;
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
}

/** `shard 4`, or `shards 4, 5 and 2 more`. */
function named(shards: readonly number[]): string {
  const shownMax = 8;
  const rest = shards.length > shownMax ? ` and ${shards.length - shownMax} more` : '';
  return `shard${shards.length === 1 ? '' : 's'} ${shards.slice(0, shownMax).join(', ')}${rest}`;
}

function document(archive: string, { stored, topology, shards }: ArchiveSurvey): object {
  const generations = stored === undefined ? [] : topology.generations;
  return { archive, puts: shardCountOf(topology), generations, shards };
}

function page(archive: string, { stored, topology, shards }: ArchiveSurvey): string {
  const generations = topology.generations.map(({ shards: count, time }, index) => {
    const since = time === 0 ? '' : `, since ${new Date(time).toISOString()}`;
    return `  ${String(index + 1).padEnd(3)}${count === 1 ? '1 shard' : `${countText(count)} shards`}${since}`;
  });
  const rows = shards.map(({ shard, takesPuts, isLive, epoch, records, waitingPuts }) => [
    String(shard),
    takesPuts ? 'puts, lookups' : 'lookups only',
    isLive ? 'alive' : 'NONE',
    records === undefined ? '-' : countText(records),
    epoch === undefined ? '-' : countText(epoch),
    countText(waitingPuts),
  ]);
  return [
    `Archive "${archive}"`,
    stored === undefined
      ? 'Generations: none was written yet, which means one shard'
      : 'Generations, the last one counts for puts:',
    ...(stored === undefined ? [] : generations),
    'Shards:',
    ...columns([['shard', 'takes', 'worker', 'records', 'epoch', 'puts waiting'], ...rows]),
    '',
  ].join('\n');
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd((widths[column] ?? 0) + 2)).join('')}`.trimEnd());
}
