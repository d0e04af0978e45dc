/**
 * One worker: the process around its shards.
 *
 * It owns what they share: HTTP, the connection to Redis, the topology, the look at the disk, the janitor, and the
 * deadline at the end. Each shard is a unit of its own (`shard-unit.ts`). One that cannot go on is not left to the others
 * to hide: the worker is not ready any more, `failed` resolves, and the process is meant to be stopped and started again.
 *
 * States: starting (HTTP answers, not ready) → serving → stopping → stopped. Nothing is fetched before all shards have
 * recovered. A start that fails gives everything back and rejects.
 *
 * Stop: all shards at once, each within the same deadline; then Redis and HTTP are let go.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { parseArchiveName } from '../protocol/names.ts';
import { Janitor } from '../queue/janitor.ts';
import { ThrottledLog } from '../queue/throttled-log.ts';
import { within } from '../queue/within.ts';
import { type Config, maskedConfig } from './config.ts';
import { DiskWatch } from './disk-watch.ts';
import { alivePage, type Health, readyPage } from './health.ts';
import { type HttpPage, type HttpServer, serveHttp } from './http.ts';
import { createLogger, type ServiceLogger } from './log.ts';
import { metricsPage } from './metrics-page.ts';
import { packageVersion } from './package-version.ts';
import { RedisLink } from './redis-link.ts';
import { ServiceError } from './service-error.ts';
import { ownShards } from './shard-config.ts';
import { type ShardStatus, ShardUnit, type StopOutcome } from './shard-unit.ts';
import { statusData, statusPage, type WorkerView } from './status-page.ts';
import { StatusRecorder, sampleCountMax, sampleIntervalS } from './status-recorder.ts';
import { TopologyKeeper } from './topology-keeper.ts';

export type { ShardStatus, StopOutcome } from './shard-unit.ts';

export interface ServiceOptions {
  /** Default: pino on standard output, at the configured level. */
  readonly logger?: ServiceLogger;
  readonly clock?: Clock;
}

export interface ServiceStatus {
  readonly archive: string;
  /** In the order of their numbers. */
  readonly shards: readonly ShardStatus[];
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
  readonly #link: RedisLink;
  readonly #janitor: Janitor;
  readonly #diskWatch: DiskWatch;
  readonly #topology: TopologyKeeper;
  readonly #units: readonly ShardUnit[];
  readonly #recorder: StatusRecorder;
  readonly #startedMs: number;
  readonly #failure = Promise.withResolvers<Error>();
  #phase: 'starting' | 'serving' | 'stopping' = 'starting';
  #http: HttpServer | undefined;
  #stopping: Promise<StopOutcome> | undefined;

  constructor(config: Config, { logger, clock = systemClock }: ServiceOptions) {
    const archive = parseArchiveName(config.archive);
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger ?? createLogger(config.log.level, { archive });
    const log = new ThrottledLog(this.#logger, clock);
    this.#link = new RedisLink(config, { clock, logger: this.#logger, log });
    const { janitorIntervalMs: intervalMs, clientSilenceMaxMs: silenceMaxMs } = config.queue;
    const deps = { clock, logger: this.#logger };
    this.#janitor = new Janitor(
      { archive, intervalMs, silenceMaxMs },
      { ...deps, connection: this.#link.connection, log },
    );
    this.#diskWatch = new DiskWatch({ ...config.disk, path: config.dataDir }, deps, (low) => {
      for (const unit of this.#units) unit.diskChanged(low);
    });
    this.#topology = new TopologyKeeper({ archive, dataDir: config.dataDir }, { ...deps, link: this.#link, log });
    const unitDeps = {
      hasSeveralHomes: (storedKey: Uint8Array) => this.#topology.hasSeveralHomes(storedKey),
      ...{ ...deps, link: this.#link, diskSpace: () => this.#diskWatch.space },
      failed: (error: ServiceError) => this.#failure.resolve(error),
    };
    this.#startedMs = clock.monotonicMs();
    this.#units = ownShards(config).map((shard) => new ShardUnit({ ...config, shard }, unitDeps));
    this.#recorder = new StatusRecorder(clock, this.#units);
  }

  get http(): { readonly host: string; readonly port: number } {
    const { host, port } = this.#http ?? this.#config.http;
    return { host, port };
  }

  get failed(): Promise<Error> {
    return this.#failure.promise;
  }

  status(): ServiceStatus {
    return { archive: this.#config.archive, shards: this.#units.map((unit) => unit.status) };
  }

  stop(): Promise<StopOutcome> {
    this.#stopping ??= this.#stopInTime();
    return this.#stopping;
  }

  async start(): Promise<void> {
    this.#logger.info({ config: maskedConfig(this.#config) }, 'worker-starting');
    this.#http = await this.#listen();
    if (this.#config.http.statusPage) this.#recorder.start();
    const { runId } = await this.#link.start((facts) => {
      for (const unit of this.#units) unit.redisCameBack(facts.runId);
      void this.#topology.look();
    });
    await Promise.all(this.#units.map((unit) => unit.open(runId)));
    await this.#topology.start();
    await this.#diskWatch.start();
    for (const unit of this.#units) unit.serve(this.#diskWatch.low);
    this.#janitor.start();
    this.#phase = 'serving';
    for (const reason of this.#unasked()) this.#logger.error({ reason }, 'topology-too-small');
    this.#logger.info({ shards: this.#units.map(({ number }) => number), http: this.http }, 'worker-ready');
  }

  async #listen(): Promise<HttpServer> {
    const pages: Readonly<Record<string, HttpPage>> = {
      '/metrics': metricsPage(
        this.#config,
        this.#units.map(({ metrics }) => metrics),
      ),
      '/healthz': alivePage,
      '/readyz': readyPage(() => this.#health()),
      ...(this.#config.http.statusPage ? { '/': statusPage(), '/status.json': statusData(() => this.#view()) } : {}),
    };
    try {
      return await serveHttp(this.#config.http, pages);
    } catch (error) {
      const { host, port } = this.#config.http;
      const message = `cannot listen on ${host}:${port} (http.host, http.port): ${messageOf(error)}`;
      throw new ServiceError('http-address', message, { cause: error });
    }
  }

  async #health(): Promise<Health> {
    const reasons: string[] = [];
    if (this.#phase !== 'serving') reasons.push(this.#phase);
    if (!(await this.#link.answers())) reasons.push('redis-unreachable');
    return {
      ...{ archive: this.#config.archive, reasons, shards: this.#units.map((unit) => unit.health) },
      warnings: [...(this.#link.warnings?.map(({ message }) => message) ?? []), ...this.#unasked()],
    };
  }

  /** What is archived and not found: records on shards that the topology does not know. */
  #unasked(): readonly string[] {
    const unasked = this.#units.filter(({ number, status }) => status.records > 0 && !this.#topology.asks(number));
    return unasked.map(({ number }) => {
      return `shard ${number} holds records, and lookups do not ask it: permafrost topology grow ${number + 1}`;
    });
  }

  async #view(): Promise<WorkerView> {
    const { archive, reasons, warnings } = await this.#health();
    const space = this.#diskWatch.space;
    return {
      ...{ archive, reasons, warnings, version: packageVersion(), time: this.#clock.wallMs() },
      uptimeS: (this.#clock.monotonicMs() - this.#startedMs) / 1000,
      redisReachable: !reasons.includes('redis-unreachable'),
      disk: space === undefined ? null : { freeBytes: space.free, sizeBytes: space.size, low: this.#diskWatch.low },
      ...{ sampleIntervalS, sampleCountMax },
      shards: this.#units.map((unit) => unit.view),
    };
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
    this.#recorder.stop();
    this.#topology.stop();
    this.#janitor.stop();
    const outcomes = await Promise.all(this.#units.map((unit) => unit.stop(leftMs)));
    this.#link.close();
    await this.#http?.close();
    const outcome = { clean: outcomes.every(({ clean }) => clean), drained: outcomes.every(({ drained }) => drained) };
    this.#logger.info(outcome, 'worker-stopped');
    return outcome;
  }
}
