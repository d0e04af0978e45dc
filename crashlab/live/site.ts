import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { Client } from '../../src/client/client.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { checkpointKey, parseArchiveName, putQueueName } from '../../src/protocol/names.ts';
import { readJobCounts } from '../../src/queue/job-counts.ts';
import { loadConfig } from '../../src/service/config.ts';
import { shardDirectory, shardSettings } from '../../src/service/shard-config.ts';
import { directoryLock } from '../../src/shard/owner-lock.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../../test/redis/redis-server.ts';
import { type LogPlace, WorkerProcess } from '../../test/service/worker-process.ts';
import { Random } from '../../test/simulation/random.ts';
import { type Round, Violation } from '../experiment.ts';
import { limited } from './limit.ts';
import { Load, type LoadSettings, usualLoad } from './load.ts';
import { readAll } from './reading.ts';
import { ReceiptJournal } from './receipt-journal.ts';

export const archive = parseArchiveName('lab');
const shard = 0;
const jobsTimeoutMs = 1000;
/** How long a job stays with a worker that gives no sign of life. */
export const lockDurationMs = 1000;

export interface SiteOptions {
  readonly redis?: RedisOptions;
  readonly load?: Partial<LoadSettings>;
  /** Settings of the workers, as environment variables without their prefix. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What runs in place of a worker as it should be. */
  readonly program?: string;
}

/**
 * An archive as it is run: a real Redis, a directory for the shard, workers that are processes of their own, and a
 * client that puts without end and keeps each receipt.
 *
 * The engine's settings are drawn from the round's seed: small sections and tables, frequent syncs, so that every kind
 * of write is in progress at some fault.
 */
export class Site implements AsyncDisposable {
  readonly round: Round;
  readonly random: Random;
  readonly redisServer: RedisServer;
  /** For looking into Redis and for doing things to it. */
  readonly redis: Redis;
  readonly client: Client;
  readonly journal: ReceiptJournal;
  readonly load: Load;
  readonly dataDir: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #program: string | undefined;
  readonly #workers: WorkerProcess[] = [];
  /** Those that were told to end. */
  readonly #ending = new Set<WorkerProcess>();
  #lookupCount = 0;

  private constructor(
    round: Round,
    options: SiteOptions,
    server: RedisServer,
    client: Client,
    journal: ReceiptJournal,
  ) {
    this.round = round;
    this.random = new Random(round.seed);
    this.redisServer = server;
    this.client = client;
    this.journal = journal;
    this.dataDir = join(round.directory, 'data');
    this.#program = options.program;
    this.#settings = {
      REDIS_URL: server.url,
      ARCHIVE: archive,
      HTTP_PORT: '0',
      DISK_PAUSE_BELOW_BYTES: '0',
      QUEUE_LOCK_DURATION_MS: String(lockDurationMs),
      QUEUE_STALLED_INTERVAL_MS: '200',
      PUT_CONCURRENCY: '48',
      ...drawnSettings(this.random),
      ...options.settings,
    };
    this.load = new Load(client, journal, this.random.fork(), { ...usualLoad, ...options.load });
    this.redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    this.redis.on('error', () => {});
  }

  static async open(round: Round, options: SiteOptions = {}): Promise<Site> {
    await mkdir(join(round.directory, 'data'));
    const journal = await ReceiptJournal.create(join(round.directory, 'receipts'));
    const server = await startRedis(options.redis);
    try {
      const client = await Client.connect({ archive, redis: server.url, closeTimeoutMs: 1000 });
      return new Site(round, options, server, client, journal);
    } catch (error) {
      await server.stop();
      await journal.close();
      throw error;
    }
  }

  get signal(): AbortSignal {
    return this.round.signal;
  }

  /** Puts and lookups that were judged. */
  get operations(): number {
    return this.journal.records.length + this.#lookupCount;
  }

  /** Starts a worker, and does not wait for it. */
  launch(more: Readonly<Record<string, string>> = {}): WorkerProcess {
    const settings = { DATA_DIR: this.dataDir, ...this.#settings, ...more };
    const env = Object.entries(settings).map(([name, value]) => [`PERMAFROST_${name}`, value]);
    const worker = new WorkerProcess(Object.fromEntries(env), this.#program);
    this.#workers.push(worker);
    worker.exited().then(
      (how) => {
        // A signal to the whole group, as from a terminal, ends the lab and its workers.
        if (this.#ending.has(worker) || this.signal.aborted) return;
        this.load.fail(new Violation(`a worker ended by itself (${how})`));
      },
      (error: unknown) => this.load.fail(error),
    );
    return worker;
  }

  /** Starts a worker and waits until it serves. */
  async launchReady(more: Readonly<Record<string, string>> = {}): Promise<WorkerProcess> {
    const worker = this.launch(more);
    await this.logged(worker, 'worker-ready');
    return worker;
  }

  /** Waits until the worker has logged the event. */
  logged(worker: WorkerProcess, event: string, place: LogPlace = {}): Promise<void> {
    const what = `the event ${event} ${JSON.stringify(place.fields ?? {})}`;
    return limited(this.signal, what, worker.logged(event, place));
  }

  /** Sends the signal and gives the status that the worker ended with. */
  ended(worker: WorkerProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#ending.add(worker);
    return limited(this.signal, `the end of the worker by ${signal}`, worker.end(signal));
  }

  /** Waits for the end of a worker that may not start; its last words must hold the reason. */
  async refused(worker: WorkerProcess, reason: string): Promise<void> {
    // A signal that does nothing: it ends by itself.
    const status = await this.ended(worker, 'SIGCONT');
    expect(status === 1, `a worker that had to be refused ('${reason}') ended with ${status}`);
    const words = JSON.stringify(worker.lines.slice(-3));
    expect(words.includes(reason), `refused, but not because '${reason}': ${words}`);
  }

  /** Looks up every record that was acknowledged until now, by key and by cursor. */
  async readAll(): Promise<void> {
    this.#lookupCount += await readAll(this.client, this.journal, this.signal);
  }

  /** The checkpoint that Redis knows: its epoch and the number of records. */
  async published(): Promise<{ readonly epoch: number; readonly records: number }> {
    const { epoch = '0', records = '0' } = await this.redis.hgetall(checkpointKey(archive, shard));
    return { epoch: Number(epoch), records: Number(records) };
  }

  /** Put jobs by state. */
  async jobs(): Promise<ReadonlyMap<string, number>> {
    const counts = await readJobCounts(this.redis, putQueueName(archive, shard));
    return new Map(counts.map(({ state, count }) => [state, count]));
  }

  /**
   * Ends the load, reads everything once more, and stops the worker. Throws a Violation unless every record that was
   * sent is stored exactly once, and the files are sound.
   */
  async finish(worker: WorkerProcess): Promise<void> {
    await this.load.stop(this.signal);
    await this.readAll();
    expect((await this.jobs()).get('failed') === 0, 'a put job is in the failed set');
    const status = await this.ended(worker, 'SIGTERM');
    expect(status === 0, `the worker ended with ${status} after SIGTERM`);
    const { records } = await this.published();
    await this.verify();
    expect(records === this.load.recordCount, `${records} records are published, ${this.load.recordCount} were put`);
  }

  /** Checks the files of the shard, which no worker runs: sound, and each record once. */
  async verify(): Promise<void> {
    const env = Object.entries(this.#settings).map(([name, value]) => [`PERMAFROST_${name}`, value]);
    const config = loadConfig({ env: { ...Object.fromEntries(env), PERMAFROST_DATA_DIR: this.dataDir } });
    const directory = shardDirectory(config);
    const deps = { disk: new NodeDisk(directory), lock: directoryLock(directory), clock: systemClock };
    const report = await verifyShard({ ...deps, logger: silentLogger }, shardSettings(config));
    expect(report.problemCount === 0, `verify: ${report.problems.slice(0, 5).join('; ')}`);
    const put = this.load.recordCount;
    const excess = report.recordCount - put;
    expect(excess <= 0, `doubled: ${excess} records more than the ${put} that were put`);
    expect(excess >= 0, `lost: ${-excess} of ${put} records are not in the files`);
  }

  /** What there is to see, for whoever looks into a violation: receipts, jobs, and the last words of the workers. */
  async situation(): Promise<string> {
    const jobs = await Promise.race([
      this.jobs().catch(() => undefined),
      after(jobsTimeoutMs, undefined, { ref: false }),
    ]);
    const counts = jobs === undefined ? 'unknown' : JSON.stringify(Object.fromEntries(jobs));
    const { recordCount, resentCount } = this.load;
    const records = `${this.journal.records.length} of ${recordCount} records acknowledged, ${resentCount} puts sent again`;
    return `\n  ${records}, ${this.client.pendingCount} calls pending, put jobs ${counts}${this.#lastWords()}`;
  }

  #lastWords(): string {
    const telling = this.#workers.flatMap(({ lines, pid }) =>
      lines
        .filter(({ level }) => Number(level) >= 40 || level === 'warn' || level === 'error')
        .map((line) => ({ pid, line })),
    );
    return telling
      .slice(-6)
      .map(({ pid, line }) => `\n  worker ${pid}: ${JSON.stringify(line).slice(0, 600)}`)
      .join('');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.load.abandon();
    // Runs backwards and to its end, whatever of it fails.
    await using rest = new AsyncDisposableStack();
    rest.defer(() => this.journal.close());
    rest.defer(() => this.redisServer.stop());
    rest.defer(() => this.redis.disconnect());
    rest.defer(() => this.client.close());
    for (const worker of this.#workers) {
      this.#ending.add(worker);
      rest.defer(async () => void (await worker.end('SIGKILL')));
    }
  }
}

/** Throws a Violation unless it holds. */
export function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Violation(otherwise);
}

function drawnSettings(random: Random): Readonly<Record<string, string>> {
  return {
    SYNC_INTERVAL_MS: String(random.pick([20, 100, 400])),
    COMMIT_DELAY_MS: String(random.pick([0, 2, 10])),
    ENGINE_PAGE_SIZE: String(random.pick([256, 1024, 4096])),
    ENGINE_COMPRESSION_LEVEL: String(random.pick([0, 0, 1])),
    ENGINE_VALUE_TARGET_SIZE: String(random.pick([64, 512, 4096]) * 1024),
    ENGINE_TABLE_INITIAL_SIZE: String(random.pick([64, 1024])),
    ENGINE_TABLE_RESIZE_CHUNK_SIZE: String(random.pick([64, 1024])),
  };
}
