/**
 * One worker: a shard, its two queues, and what an operator sees of it.
 *
 * States: starting (HTTP answers, not ready) → serving → stopping → stopped. Nothing is fetched before the shard has
 * recovered. A start that fails gives everything back and rejects.
 *
 * Stop: not ready → no more fetching → what is in hand is committed and answered → sync → publish → give back. Each
 * step has a share of the deadline, so that the archive is synced even when Redis takes nothing any more.
 *
 * Crash behaviour: nothing here is needed to recover; see the shard.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { compareEnds, journalStart } from '../journal/journal-end.ts';
import { lookupQueueName, parseArchiveName, putQueueName } from '../protocol/names.ts';
import { CheckpointPublisher, readPublished } from '../queue/checkpoint-publisher.ts';
import { Janitor } from '../queue/janitor.ts';
import { readJobCounts } from '../queue/job-counts.ts';
import { LookupConsumer } from '../queue/lookup-consumer.ts';
import { PutConsumer } from '../queue/put-consumer.ts';
import { ReceiptBatch } from '../queue/receipt-batch.ts';
import { ReplySender } from '../queue/reply-sender.ts';
import type { ShardPort } from '../queue/shard-port.ts';
import { ThrottledLog } from '../queue/throttled-log.ts';
import { within } from '../queue/within.ts';
import { directoryLock } from '../shard/owner-lock.ts';
import { Shard } from '../shard/shard.ts';
import { prepareShardDirectory } from '../shard/shard-directory.ts';
import type { ShardHooks, ShardState } from '../shard/shard-hooks.ts';
import type { PublishedCheckpoint } from '../shard/start-up.ts';
import { type Config, maskedConfig } from './config.ts';
import { DiskWatch } from './disk-watch.ts';
import { alivePage, type Health, readyPage } from './health.ts';
import { type HttpPage, type HttpServer, serveHttp } from './http.ts';
import { createLogger, type ServiceLogger } from './log.ts';
import { Metrics, type ShardFacts } from './metrics.ts';
import { packageVersion } from './package-version.ts';
import { RedisLink } from './redis-link.ts';
import { ServiceError } from './service-error.ts';
import { shardDirectory, shardSettings } from './shard-config.ts';
import { UnsyncedAge } from './unsynced-age.ts';

export interface ServiceOptions {
  /** Default: pino on standard output, at the configured level. */
  readonly logger?: ServiceLogger;
  readonly clock?: Clock;
}

export interface ServiceStatus {
  readonly archive: string;
  readonly shard: number;
  readonly state: ShardState | undefined;
  /** Epoch of the newest durable checkpoint. */
  readonly epoch: number;
  /** Number of the last commit. */
  readonly commits: number;
  /** Records in the shard, all versions: those found at start and those acknowledged since. */
  readonly records: number;
  /** How long opening the shard took. */
  readonly recoveryMs: number;
}

export interface StopOutcome {
  /** The shard was synced and closed well; otherwise the next start recovers, and no acknowledged record is lost. */
  readonly clean: boolean;
  /** All jobs in hand were answered; the others are delivered again. */
  readonly drained: boolean;
}

/** A worker that serves. */
export interface Service {
  /** Where `/metrics`, `/healthz` and `/readyz` are. */
  readonly http: { readonly host: string; readonly port: number };
  /** Resolves when the worker cannot go on by itself and should be stopped and started again. */
  readonly failed: Promise<Error>;
  status(): ServiceStatus;
  /** Stops within `closeDeadlineMs`, Redis there or not. Never rejects; a second call gives the same promise. */
  stop(): Promise<StopOutcome>;
}

/** Of the deadline: for the jobs in hand, and for the shard up to here; what is left is for publishing. */
const drainShare = 0.6;
const shardShare = 0.9;

/** Starts a worker; resolves when it has recovered and fetches jobs. Rejects, with nothing left open, when it cannot. */
export async function startService(config: Config, options: ServiceOptions = {}): Promise<Service> {
  const service = new WorkerService(config, options);
  try {
    await service.start();
    return service;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

class WorkerService implements Service {
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #logger: ServiceLogger;
  readonly #log: ThrottledLog;
  readonly #metrics: Metrics;
  readonly #link: RedisLink;
  readonly #publisher: CheckpointPublisher;
  readonly #replies: ReplySender;
  readonly #janitor: Janitor;
  readonly #diskWatch: DiskWatch;
  readonly #unsynced: UnsyncedAge;
  readonly #failure = Promise.withResolvers<Error>();
  #phase: 'starting' | 'serving' | 'stopping' = 'starting';
  #http: HttpServer | undefined;
  #shard: Shard | undefined;
  #puts: PutConsumer | undefined;
  #lookups: LookupConsumer | undefined;
  #recoveryMs = 0;
  #recordsAtStart = 0;
  #recordsStored = 0;
  #stopping: Promise<StopOutcome> | undefined;

  constructor(config: Config, { logger, clock = systemClock }: ServiceOptions) {
    const archive = parseArchiveName(config.archive);
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger ?? createLogger(config.log.level, { archive, shard: config.shard });
    this.#log = new ThrottledLog(this.#logger, clock);
    this.#unsynced = new UnsyncedAge(clock);
    this.#metrics = this.#makeMetrics();
    this.#link = new RedisLink(config, { clock, logger: this.#logger, log: this.#log });
    const deps = {
      connection: this.#link.connection,
      ...{ clock, logger: this.#logger, log: this.#log, observer: this.#metrics },
    };
    this.#publisher = new CheckpointPublisher({ archive, shard: config.shard, owner: randomUUID() }, deps);
    const { replyQueuesMax, eventsMax, janitorIntervalMs, clientSilenceMaxMs } = config.queue;
    this.#replies = new ReplySender({ archive, openQueuesMax: replyQueuesMax, eventsMax }, deps);
    this.#janitor = new Janitor({ archive, intervalMs: janitorIntervalMs, silenceMaxMs: clientSilenceMaxMs }, deps);
    this.#diskWatch = new DiskWatch({ ...config.disk, path: config.dataDir }, deps, (low) => this.#diskChanged(low));
  }

  get http(): { readonly host: string; readonly port: number } {
    const { host, port } = this.#http ?? this.#config.http;
    return { host, port };
  }

  get failed(): Promise<Error> {
    return this.#failure.promise;
  }

  status(): ServiceStatus {
    const { archive, shard } = this.#config;
    const open = this.#shard;
    return {
      ...{ archive, shard, state: open?.state, recoveryMs: this.#recoveryMs, records: this.#records() },
      epoch: open?.checkpoint.epoch ?? 0,
      commits: open?.commitNumber ?? 0,
    };
  }

  stop(): Promise<StopOutcome> {
    this.#stopping ??= this.#stopInTime();
    return this.#stopping;
  }

  async start(): Promise<void> {
    this.#logger.info({ config: maskedConfig(this.#config) }, 'worker-starting');
    this.#http = await this.#listen();
    const facts = await this.#link.start(({ runId }) => this.#redisCameBack(runId));
    const { archive, shard: number } = this.#config;
    const published = await readPublished(this.#link.connection, parseArchiveName(archive), number);
    const shard = await this.#openShard(published.notice);
    this.#publisher.setRedisRun(facts.runId);
    await this.#publisher.takeLease({ replace: this.#config.trustVolume });
    void this.#publisher.fenced.then((reason) => this.#fail(new ServiceError('fenced', reason)));
    await this.#diskWatch.start();
    // An empty shard has nothing that could be stored twice. Any other is sure only of a Redis that it published to: one
    // that knows no checkpoint, or another run of it, may have gone back to before jobs that are stored.
    const isEmpty = compareEnds(shard.freezer.end, journalStart) === 0;
    this.#consume(shard, !isEmpty && published.redisRunId !== facts.runId);
    this.#janitor.start();
    this.#phase = 'serving';
    const { epoch, records, recoveryMs } = this.status();
    this.#logger.info({ epoch, records, recoveryMs, http: this.http }, 'worker-ready');
  }

  async #listen(): Promise<HttpServer> {
    const metrics: HttpPage = {
      contentType: this.#metrics.contentType,
      body: async () => ({ status: 200, text: await this.#metrics.text() }),
    };
    const pages = { '/metrics': metrics, '/healthz': alivePage, '/readyz': readyPage(() => this.#health()) };
    try {
      return await serveHttp(this.#config.http, pages);
    } catch (error) {
      const { host, port } = this.#config.http;
      const message = `cannot listen on ${host}:${port} (http.host, http.port): ${messageOf(error)}`;
      throw new ServiceError('http-address', message, { cause: error });
    }
  }

  async #openShard(published: PublishedCheckpoint | undefined): Promise<Shard> {
    const startedMs = this.#clock.monotonicMs();
    const directory = shardDirectory(this.#config);
    const disk = await prepareShardDirectory(directory);
    const deps = { disk, lock: directoryLock(directory), clock: this.#clock, logger: this.#logger };
    this.#shard = await Shard.open({ ...deps, published, hooks: this.#hooks() }, shardSettings(this.#config));
    this.#recoveryMs = this.#clock.monotonicMs() - startedMs;
    this.#recordsAtStart = this.#shard.checkpoint.records;
    return this.#shard;
  }

  #hooks(): ShardHooks {
    return {
      onCheckpoint: (checkpoint) => {
        this.#unsynced.synced();
        this.#publisher.publish(checkpoint);
      },
      onState: (state, cause) => this.#shardChanged(state, cause),
      onRound: ({ kind, putCount, durationMs }) => {
        if (kind === 'sync') this.#metrics.syncDone(durationMs / 1000);
        else this.#metrics.commitDone({ putJobs: putCount, durationS: durationMs / 1000 });
      },
      onProgress: (done, total, phase) => this.#logger.debug({ done, total, phase }, 'recovery-progress'),
    };
  }

  #consume(shard: Shard, countersDoubted: boolean): void {
    const { archive: name, shard: number, limits, queue, put, lookup } = this.#config;
    const archive = parseArchiveName(name);
    const { lockDurationMs, stalledIntervalMs, failedCountMax, failedAgeMaxS } = queue;
    const settings = { shard: number, limits, lockDurationMs, stalledIntervalMs, failedCountMax, failedAgeMaxS };
    const deps = {
      clock: this.#clock,
      logger: this.#logger,
      log: this.#log,
      observer: this.#metrics,
      shard: this.#counted(shard),
    };
    this.#puts = new PutConsumer(
      {
        ...settings,
        ...{ queue: putQueueName(archive, number), concurrency: put.concurrency, bytesInHandMax: put.bytesMax },
      },
      { ...deps, connection: this.#link.open('put'), receipts: new ReceiptBatch(this.#replies) },
    );
    this.#lookups = new LookupConsumer(
      {
        ...settings,
        // Lookup jobs are small; what they read and send is limited elsewhere.
        ...{ queue: lookupQueueName(archive, number), concurrency: lookup.concurrency, bytesInHandMax: put.bytesMax },
      },
      { ...deps, connection: this.#link.open('lookup'), replies: this.#replies },
    );
    if (countersDoubted) this.#puts.history.doubt();
    if (this.#diskWatch.low) this.#puts.intake.pause('low-disk');
    this.#puts.run();
    this.#lookups.run();
  }

  /** The shard as the consumers see it: what it acknowledges is counted on the way. */
  #counted(shard: Shard): ShardPort {
    return {
      lookupMany: (questions) => shard.lookupMany(questions),
      put: (request) => {
        const stored = shard.put(request);
        return stored.then((result) => {
          this.#unsynced.acknowledged();
          this.#recordsStored += result.records.filter(({ outcome }) => outcome === 'stored').length;
          return result;
        });
      },
    };
  }

  #records(): number {
    return Math.max(this.#shard?.checkpoint.records ?? 0, this.#recordsAtStart + this.#recordsStored);
  }

  #shardChanged(state: ShardState, cause: Error | undefined): void {
    if (state === 'recovering' || state === 'disk-full') this.#metrics.diskFailed();
    if (state === 'open') this.#puts?.intake.resume('shard');
    else this.#puts?.intake.pause('shard');
    if (state === 'failed') this.#fail(new ServiceError('shard-failed', 'the shard cannot store any more', { cause }));
  }

  #diskChanged(low: boolean): void {
    if (low) this.#puts?.intake.pause('low-disk');
    else this.#puts?.intake.resume('low-disk');
  }

  /** It may be another Redis, or one that has forgotten: it is told again what is durable. */
  #redisCameBack(runId: string): void {
    this.#publisher.setRedisRun(runId);
    if (this.#shard !== undefined) this.#publisher.publish(this.#shard.checkpoint);
  }

  #fail(error: ServiceError): void {
    this.#logger.error({ error }, 'worker-failed');
    this.#puts?.intake.pause('shard');
    this.#failure.resolve(error);
  }

  async #health(): Promise<Health> {
    const reasons: string[] = [];
    if (this.#phase !== 'serving') reasons.push(this.#phase);
    if (this.#shard === undefined) reasons.push('shard-not-open');
    else if (this.#shard.state !== 'open') reasons.push(`shard-${this.#shard.state}`);
    if (this.#publisher.isFenced) reasons.push('fenced');
    if (!(await this.#link.answers())) reasons.push('redis-unreachable');
    return {
      ...{ archive: this.#config.archive, shard: this.#config.shard, reasons, pauses: this.#pauses() },
      warnings: this.#link.warnings.map(({ message }) => message),
    };
  }

  #pauses(): readonly string[] {
    return this.#puts?.intake.reasons ?? [];
  }

  #makeMetrics(): Metrics {
    const { archive, shard } = this.#config;
    return new Metrics(
      { archive, shard, version: packageVersion() },
      {
        shard: () => this.#shardFacts(),
        freeBytes: () => this.#diskWatch.free,
        pauses: () => this.#pauses(),
        jobCounts: () => this.#jobCounts(),
      },
    );
  }

  #shardFacts(): ShardFacts | undefined {
    const shard = this.#shard;
    if (shard === undefined) return undefined;
    const { counters, resizing, tableSize } = shard.freezer;
    return {
      epoch: shard.checkpoint.epoch,
      records: this.#records(),
      unsyncedAgeS: this.#unsynced.seconds,
      tableBuckets: tableSize,
      resizeProgress: resizing === undefined ? 1 : resizing / tableSize,
      operations: {
        put: counters.puts,
        get: counters.gets,
        has: counters.has,
        'unnecessary-read': counters.unnecessaryReads,
        'unnecessary-write': counters.unnecessaryWrites,
        resize: counters.resizes,
      },
      recoveryS: this.#recoveryMs / 1000,
      readOnly: shard.state === 'failed',
    };
  }

  async #jobCounts(): Promise<readonly { queue: string; state: string; count: number }[]> {
    const { archive: name, shard } = this.#config;
    if (!(await this.#link.answers())) return [];
    const archive = parseArchiveName(name);
    const put = await readJobCounts(this.#link.connection, putQueueName(archive, shard));
    const lookup = await readJobCounts(this.#link.connection, lookupQueueName(archive, shard));
    return [
      ...put.map((count) => ({ queue: 'put', ...count })),
      ...lookup.map((count) => ({ queue: 'lookup', ...count })),
    ];
  }

  /** Each step has its time; should one outlast it all the same, the process ends without it. */
  async #stopInTime(): Promise<StopOutcome> {
    const stopped = within(this.#clock, this.#config.closeDeadlineMs, this.#stop());
    return (await stopped) ?? { clean: false, drained: false };
  }

  async #stop(): Promise<StopOutcome> {
    const startedMs = this.#clock.monotonicMs();
    const { closeDeadlineMs } = this.#config;
    const leftMs = (share: number): number => {
      return Math.max(1, startedMs + closeDeadlineMs * share - this.#clock.monotonicMs());
    };
    this.#phase = 'stopping';
    this.#logger.info({ deadlineMs: closeDeadlineMs }, 'worker-stopping');
    this.#diskWatch.stop();
    this.#janitor.stop();
    const draining = this.#drain(leftMs(drainShare));
    // What waits in a shard that cannot commit now would wait on: closing it hands the jobs back.
    if (this.#shard?.state === 'open') await draining;
    const clean = await within(this.#clock, leftMs(shardShare), this.#closeShard());
    const drained = await draining;
    await this.#publisher.close(leftMs(1) / 2);
    this.#link.close();
    await this.#http?.close();
    this.#logger.info({ clean: clean ?? false, drained }, 'worker-stopped');
    return { clean: clean ?? false, drained };
  }

  async #drain(timeoutMs: number): Promise<boolean> {
    const closed = await Promise.all([this.#puts?.close(timeoutMs), this.#lookups?.close(timeoutMs)]);
    return !closed.includes(false);
  }

  async #closeShard(): Promise<boolean> {
    return this.#shard === undefined || (await this.#shard.close()).clean;
  }
}
