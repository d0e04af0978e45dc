import { once } from 'node:events';
import { basename, join, resolve } from 'node:path';
import { messageOf, PermafrostError } from '../base/errors.ts';
import type { Client } from '../client/client.ts';
import { RecordPutter } from '../jobs/record-putter.ts';
import type { Config } from '../service/config.ts';
import { createLogger } from '../service/log.ts';
import { type Service, startService } from '../service/service.ts';
import { countText, durationText, sizeText } from './amounts.ts';
import { connectClient } from './archive-client.ts';
import { CliError } from './cli-error.ts';
import { defineCommand, type ExitCode, exitCodes, type Terminal } from './command.ts';
import { filesBelow } from './file-source.ts';
import type { ImportItem } from './import-item.ts';
import { freePort, type PrivateRedis, startPrivateRedis } from './private-redis.ts';
import { Progress } from './progress.ts';
import { type PutTally, putRunDefaults, runPuts } from './put-run.ts';
import { type ArchivedRecord, type ReadBack, readBack } from './read-back.ts';
import { Sample } from './sample.ts';
import { configFrom } from './settings.ts';
import { archivedCount, latencyText, ProblemReport, problemText, tallyText } from './tally.ts';

export const startCommand = defineCommand({
  name: 'start',
  summary: 'shows the whole way: Redis, worker, real records in, the same bytes out',
  description:
    'Starts a private Redis (its data below the data directory; not when PERMAFROST_REDIS_URL names another one) and a worker, archives every ' +
    'file of a directory, looks up a sample and compares it byte for byte, says what it did, and keeps serving until Ctrl-C. Run again, ' +
    'it finds the archive as it was left and stores nothing new.\nWith --exit it ends instead: with 0 when all of it held, else with 1.',
  operands: {},
  options: {
    exit: { kind: 'flag', summary: 'end when it is done instead of serving on' },
    input: { kind: 'text', placeholder: 'directory', default: 'node_modules', summary: 'whose files are archived' },
    sample: {
      kind: 'count',
      placeholder: 'n',
      min: 0,
      max: 100_000,
      default: 200,
      summary: 'records that are looked up and compared',
    },
  },
  examples: [
    { line: 'npm start', effect: 'the same as permafrost start: archive node_modules and keep serving' },
    { line: 'npm start -- --exit', effect: 'archive, compare, end' },
  ],
  async run({ options }, terminal) {
    await using stage = new AsyncDisposableStack();
    try {
      return await new Start(terminal, stage).run(options);
    } catch (error) {
      if (!(error instanceof PermafrostError)) throw error;
      terminal.notes.write(`permafrost start: ${error.message} (${error.code})\n`);
      return exitCodes.negative;
    }
  },
});

interface StartOptions {
  readonly exit: boolean;
  readonly input: string;
  readonly sample: number;
}

/** One run. What it starts is stopped in the opposite order when the stage is disposed of. */
class Start {
  readonly #terminal: Terminal;
  readonly #stage: AsyncDisposableStack;
  /** Aborts when Redis or the worker has ended by itself. */
  readonly #lost = new AbortController();
  /** Aborts then, and at Ctrl-C. */
  readonly #ending: AbortSignal;

  constructor(terminal: Terminal, stage: AsyncDisposableStack) {
    this.#terminal = terminal;
    this.#stage = stage;
    this.#ending = AbortSignal.any([terminal.interrupted, this.#lost.signal]);
  }

  async run(options: StartOptions): Promise<ExitCode> {
    const redis = await this.#redis();
    const config = await this.#config(redis);
    this.#say(
      'Redis',
      redis === undefined
        ? config.redis.url
        : `${redis.url}, private: ${redis.program}, append-only file in ${join(config.dataDir, 'redis')}`,
    );
    const service = await this.#service(config);
    const client = await connectClient(config, this.#terminal.clock);
    this.#stage.defer(() => client.close());
    const held = await this.#showWay(client, service, config, options);
    this.#lost.signal.throwIfAborted();
    if (this.#ending.aborted) return exitCodes.interrupted;
    if (options.exit || !held) return held ? exitCodes.done : exitCodes.negative;
    return this.#serve(redis);
  }

  /** A Redis of our own, unless the settings name one. */
  async #redis(): Promise<PrivateRedis | undefined> {
    const { environment } = this.#terminal;
    if (environment.PERMAFROST_REDIS_URL !== undefined) return undefined;
    const redis = await startPrivateRedis(join(configFrom({}, environment).dataDir, 'redis'));
    this.#stage.defer(() => redis.stop());
    void redis.lost.then((error) => this.#lost.abort(error));
    return redis;
  }

  async #config(redis: PrivateRedis | undefined): Promise<Config> {
    const { environment } = this.#terminal;
    const wanted = configFrom({}, environment).http.port;
    const port = environment.PERMAFROST_HTTP_PORT === undefined ? await freePort(wanted).catch(() => 0) : wanted;
    const overrides = { 'http-port': String(port), ...(redis === undefined ? {} : { 'redis-url': redis.url }) };
    return configFrom({}, environment, overrides);
  }

  async #service(config: Config): Promise<Service> {
    const level = this.#terminal.environment.PERMAFROST_LOG_LEVEL === undefined ? 'warn' : config.log.level;
    const notes = { write: (line: string) => void this.#terminal.notes.write(line) };
    const logger = createLogger(level, { archive: config.archive }, notes);
    const service = await startService(config, { logger });
    this.#stage.defer(async () => void (await service.stop()));
    void service.failed.then((error) => this.#lost.abort(workerFailed(error)));
    for (const { shard, epoch, records, recoveryMs } of service.status().shards) {
      const found = records === 0 ? 'new' : `found ${countText(records)} records, checkpoint epoch ${epoch}`;
      this.#say(
        'Worker',
        `archive "${config.archive}", shard ${shard} in ${config.dataDir}: ${found}, open in ${durationText(recoveryMs)}`,
      );
    }
    return service;
  }

  /** Archives the input and reads a sample back; tells what it did, and gives whether all of it held. */
  async #showWay(client: Client, service: Service, config: Config, options: StartOptions): Promise<boolean> {
    const sample = new Sample<ArchivedRecord>(options.sample, Math.random);
    const startMs = this.#terminal.clock.monotonicMs();
    const tally = await this.#archive(client, config, options.input, sample);
    const tookMs = this.#terminal.clock.monotonicMs() - startMs;
    const archived = archivedCount(tally);
    const seconds = Math.max(tookMs, 1) / 1000;
    const rate = `${countText(archived / seconds)} records/s, ${sizeText(tally.bytes / seconds)}/s`;
    this.#say(
      'Archived',
      `${countText(archived)} records, ${sizeText(tally.bytes)} in ${durationText(tookMs)}: ${rate}`,
    );
    this.#say('', tallyText(tally));
    if (tally.stopped !== undefined) this.#say('Stopped', messageOf(tally.stopped));
    this.#say('Receipts', `${latencyText(tally.receiptLatencies)}, each after the fsync of its records`);
    const back = await this.#readBack(client, sample.chosen);
    const { shards } = service.status();
    for (const { shard, commits, epoch, records } of shards) {
      const where = shards.length === 1 ? 'the archive' : `shard ${shard}`;
      this.#say(
        'Commits',
        `${countText(commits)}, checkpoint epoch ${epoch}, ${countText(records)} records in ${where}`,
      );
    }
    this.#say('Metrics', `http://${service.http.host}:${service.http.port}/metrics`);
    return tally.stopped === undefined && tally.failed === 0 && archived > 0 && back.mismatches === 0;
  }

  async #archive(client: Client, config: Config, input: string, sample: Sample<ArchivedRecord>): Promise<PutTally> {
    const { clock, notes } = this.#terminal;
    const { valueBytesMax } = config.limits;
    const source = (): AsyncGenerator<ImportItem> =>
      filesBelow(input, { keyPrefix: `${basename(resolve(input))}/`, partBytesMax: valueBytesMax });
    const { total, parts } = await measured(source(), input);
    this.#say(
      'Input',
      `${countText(total)} records from the files of ${input}${parts === 0 ? '' : `, ${countText(parts)} of them parts of files above ${sizeText(valueBytesMax)}`}`,
    );
    const progress = new Progress({ label: 'archiving', unit: 'records' }, notes, clock);
    const problems = new ProblemReport(notes, progress);
    // Skips what is there, also where the archive has grown.
    const putter = new RecordPutter(client, this.#lost.signal);
    const tally = await runPuts(
      source(),
      { ...putRunDefaults, valueBytesMax },
      {
        put: (records) => putter.put(records),
        // Links are no records: that there are some is said once, by their count.
        problem: (kind, where, reason) => kind === 'failed' && problems.tell(kind, where, reason),
        archived: (record, { cursor }) => sample.add({ record, cursor }),
        step: (now) => progress.update(archivedCount(now), total, problemText(now)),
        clock,
        interrupted: this.#ending,
      },
    );
    progress.clear();
    return tally;
  }

  async #readBack(client: Client, records: readonly ArchivedRecord[]): Promise<ReadBack> {
    const { clock, notes } = this.#terminal;
    const back = await readBack(records, {
      lookup: (target) => client.lookup(target, { signal: this.#ending }),
      mismatch: (where, reason) => notes.write(`MISMATCH ${where}: ${reason}\n`),
      clock,
      interrupted: this.#ending,
    });
    const verdict = back.mismatches === 0 ? 'all equal byte for byte' : `${countText(back.mismatches)} DIFFER`;
    this.#say(
      'Looked up',
      `${countText(back.byKey)} by key, ${countText(back.byCursor)} by cursor, ${sizeText(back.bytes)}: ${verdict}`,
    );
    this.#say('', `lookups ${latencyText(back.latencies)}`);
    return back;
  }

  /** Until Ctrl-C, or until Redis or the worker cannot go on. */
  async #serve(redis: PrivateRedis | undefined): Promise<ExitCode> {
    const { output } = this.#terminal;
    const url = redis === undefined ? '' : `PERMAFROST_REDIS_URL=${redis.url} `;
    output.write(
      `\nServing. In another terminal:\n  ${url}npm run --silent permafrost -- get node_modules/bullmq/package.json\n`,
    );
    output.write('Ctrl-C stops it.\n');
    if (!this.#ending.aborted) await once(this.#ending, 'abort');
    this.#lost.signal.throwIfAborted();
    output.write('Stopping: what is in hand is committed, the shard synced and given back.\n');
    return exitCodes.done;
  }

  #say(what: string, text: string): void {
    this.#terminal.output.write(`${what.padEnd(10)} ${text}\n`);
  }
}

interface Measure {
  readonly total: number;
  /** Records that are parts of a larger file. */
  readonly parts: number;
}

async function measured(items: AsyncIterable<ImportItem>, input: string): Promise<Measure> {
  const measure = { total: 0, parts: 0 };
  for await (const item of items) {
    if (item.kind === 'failed' && item.where === input)
      throw new CliError('unreadable-input', `${input}: ${item.reason}`);
    if (item.kind !== 'record') continue;
    measure.total++;
    if (item.part) measure.parts++;
  }
  return measure;
}

function workerFailed(error: Error): PermafrostError {
  return error instanceof PermafrostError ? error : new CliError('worker-failed', messageOf(error), { cause: error });
}
