/**
 * One shard of a worker: its store, its two queues, its lease and what is measured of it.
 *
 * States: new → open (recovered, lease taken) → serving → stopping → stopped. Nothing is fetched before `serve`. A unit
 * knows nothing of the other shards of its process; what they share (Redis, disk space, the deadline) is handed in.
 *
 * Stop: no more fetching → what is in hand is committed and answered → sync → publish → give back. Each step has a
 * share of the deadline, so that the shard is synced even when Redis takes nothing any more.
 *
 * Crash behaviour: nothing here is needed to recover; see the shard.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { codeOf } from '../base/errors.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { compareEnds, journalStart } from '../journal/journal-end.ts';
import { type ArchiveName, lookupQueueName, parseArchiveName, putQueueName } from '../protocol/names.ts';
import { CheckpointPublisher, readPublished } from '../queue/checkpoint-publisher.ts';
import { readJobCounts } from '../queue/job-counts.ts';
import { LookupConsumer } from '../queue/lookup-consumer.ts';
import { PutConsumer } from '../queue/put-consumer.ts';
import { ReceiptBatch } from '../queue/receipt-batch.ts';
import { ReplySender } from '../queue/reply-sender.ts';
import type { ShardPort } from '../queue/shard-port.ts';
import { ThrottledLog } from '../queue/throttled-log.ts';
import { within } from '../queue/within.ts';
import { lastBackupFile, readLastSuccess } from '../shard/last-success.ts';
import { directoryLock } from '../shard/owner-lock.ts';
import { Shard } from '../shard/shard.ts';
import { prepareShardDirectory } from '../shard/shard-directory.ts';
import type { ShardHooks, ShardState } from '../shard/shard-hooks.ts';
import type { PublishedCheckpoint } from '../shard/start-up.ts';
import type { Config } from './config.ts';
import type { DiskSpace } from './disk-watch.ts';
import type { ShardHealth } from './health.ts';
import type { ServiceLogger } from './log.ts';
import { Metrics, type ShardFacts } from './metrics.ts';
import { packageVersion } from './package-version.ts';
import { PendingAge } from './pending-age.ts';
import type { RedisLink } from './redis-link.ts';
import { Scrubber } from './scrubber.ts';
import { ServiceError } from './service-error.ts';
import { shardDirectory, shardSettings } from './shard-config.ts';
import { type QueueCounts, ShardHistory } from './shard-history.ts';
import type { ShardView } from './status-page.ts';
import { sampleCountMax } from './status-recorder.ts';
import { UnsyncedAge } from './unsynced-age.ts';

export interface ShardStatus {
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
  /** All shards were synced and closed well; otherwise the next start recovers, and no acknowledged record is lost. */
  readonly clean: boolean;
  /** All jobs in hand were answered; the others are delivered again. */
  readonly drained: boolean;
}

export interface ShardUnitDeps {
  readonly clock: Clock;
  readonly logger: ServiceLogger;
  readonly link: RedisLink;
  /** Whether a record with this key may be on another shard, too. */
  readonly hasSeveralHomes: (storedKey: Uint8Array) => boolean;
  /** What there is on the disk, if known. */
  readonly diskSpace: () => DiskSpace | undefined;
  /** Called when this shard cannot go on by itself. */
  readonly failed: (error: ServiceError) => void;
}

/** Of the deadline: for the jobs in hand, and for the shard up to here; what is left is for publishing. */
const drainShare = 0.6;
const shardShare = 0.9;

export class ShardUnit {
  readonly number: number;
  readonly metrics: Metrics;
  readonly #config: Config;
  readonly #archive: ArchiveName;
  readonly #deps: ShardUnitDeps;
  readonly #logger: ServiceLogger;
  readonly #log: ThrottledLog;
  readonly #publisher: CheckpointPublisher;
  readonly #replies: ReplySender;
  readonly #unsynced: UnsyncedAge;
  readonly #uncommitted: PendingAge;
  readonly #history = new ShardHistory(sampleCountMax);
  /** The shard's directory for what goes on beside the shard. */
  readonly #side: NodeDisk;
  readonly #scrubber: Scrubber;
  #opening: Promise<Shard> | undefined;
  #shard: Shard | undefined;
  #puts: PutConsumer | undefined;
  #lookups: LookupConsumer | undefined;
  #countersDoubted = false;
  #lastFailure: string | undefined;
  #recoveryMs = 0;
  #recordsAtStart = 0;
  #recordsStored = 0;

  /** The unit of the shard that `config.shard` names. */
  constructor(config: Config, deps: ShardUnitDeps) {
    const { clock, logger, link } = deps;
    this.number = config.shard;
    this.#config = config;
    this.#archive = parseArchiveName(config.archive);
    this.#deps = deps;
    this.#logger = logger.child({ shard: config.shard });
    this.#log = new ThrottledLog(this.#logger, clock);
    this.#unsynced = new UnsyncedAge(clock);
    this.#uncommitted = new PendingAge(clock);
    this.#side = new NodeDisk(shardDirectory(config));
    this.metrics = this.#makeMetrics();
    this.#scrubber = new Scrubber(config.scrub, {
      ...{ disk: this.#side, clock, logger: this.#logger },
      read: (bytes) => this.metrics.scrubRead(bytes),
      found: ({ part }) => this.metrics.scrubFound(part),
    });
    const queueDeps = {
      connection: link.connection,
      ...{ clock, logger: this.#logger, log: this.#log, observer: this.metrics },
    };
    const archive = this.#archive;
    this.#publisher = new CheckpointPublisher({ archive, shard: config.shard, owner: randomUUID() }, queueDeps);
    const { replyQueuesMax, eventsMax } = config.queue;
    this.#replies = new ReplySender({ archive, openQueuesMax: replyQueuesMax, eventsMax }, queueDeps);
  }

  get status(): ShardStatus {
    const open = this.#shard;
    return {
      ...{ shard: this.number, state: open?.state, recoveryMs: this.#recoveryMs, records: this.#records() },
      epoch: open?.checkpoint.epoch ?? 0,
      commits: open?.commitNumber ?? 0,
    };
  }

  get health(): ShardHealth {
    const reasons: string[] = [];
    if (this.#shard === undefined) reasons.push('shard-not-open');
    else if (this.#shard.state !== 'open') reasons.push(`shard-${this.#shard.state}`);
    if (this.#publisher.isFenced) reasons.push('fenced');
    return { shard: this.number, reasons, pauses: this.#pauses() };
  }

  /** This shard, for people. */
  get view(): ShardView {
    const { epoch, records, recoveryMs } = this.status;
    const { reasons, pauses } = this.health;
    const savedAtMs = this.#shard === undefined || epoch === 0 ? undefined : this.#shard.checkpoint.time;
    const { publishedEpoch, damageCount } = this.metrics.activity;
    return {
      ...{ shard: this.number, state: this.#shard?.state ?? 'starting', reasons, pauses, epoch, records },
      lastFailure: this.#lastFailure ?? null,
      checkpointAgeS: savedAtMs === undefined ? null : Math.max(0, this.#deps.clock.wallMs() - savedAtMs) / 1000,
      publishedEpoch: publishedEpoch ?? null,
      unsyncedAgeS: this.#unsynced.seconds,
      uncommittedPuts: this.#uncommitted.count,
      uncommittedAgeS: this.#uncommitted.seconds,
      tableBuckets: this.#shard?.freezer.tableSize ?? null,
      recoveryS: recoveryMs / 1000,
      waitingPuts: this.#history.newest('put', 'waiting'),
      waitingLookups: this.#history.newest('lookup', 'waiting'),
      refusedJobs: this.#history.newest('put', 'failed'),
      damageMet: damageCount,
      history: this.#history.series,
    };
  }

  /** Takes a sample for the view of what happened in the last `elapsedS`. Never rejects. */
  async sample(elapsedS: number): Promise<void> {
    const interval = this.metrics.activity.take(elapsedS);
    this.#history.add(interval, await this.#jobCounts().catch(() => []));
  }

  /** Recovers the shard and takes its lease. Rejects with the reason when the shard cannot be opened. */
  async open(redisRunId: string): Promise<void> {
    const published = await readPublished(this.#deps.link.connection, this.#archive, this.number);
    this.#opening = this.#openShard(published.notice);
    const shard = await this.#opening;
    this.#publisher.setRedisRun(redisRunId);
    await this.#publisher.takeLease({ replace: this.#config.trustVolume });
    void this.#publisher.fenced.then((reason) => this.#fail(new ServiceError('fenced', this.#named(reason))));
    // An empty shard has nothing that could be stored twice. Any other is sure only of a Redis that it published to: one
    // that knows no checkpoint, or another run of it, may have gone back to before jobs that are stored.
    const isEmpty = compareEnds(shard.freezer.end, journalStart) === 0;
    this.#countersDoubted = !isEmpty && published.redisRunId !== redisRunId;
    const { epoch, records, recoveryMs } = this.status;
    this.#logger.info({ epoch, records, recoveryMs }, 'shard-open');
  }

  /** Begins to fetch jobs, after `open`; puts only while the disk has room. */
  serve(diskIsLow: boolean): void {
    if (this.#shard === undefined) return;
    this.#makeConsumers(this.#shard);
    if (this.#countersDoubted) this.#puts?.history.doubt();
    if (diskIsLow) this.#puts?.intake.pause('low-disk');
    this.#puts?.run();
    this.#lookups?.run();
    void this.#scrubber.start();
  }

  /** It may be another Redis, or one that has forgotten: it is told again what is durable. */
  redisCameBack(runId: string): void {
    this.#publisher.setRedisRun(runId);
    if (this.#shard !== undefined) this.#publisher.publish(this.#shard.checkpoint);
  }

  diskChanged(low: boolean): void {
    if (low) this.#puts?.intake.pause('low-disk');
    else this.#puts?.intake.resume('low-disk');
  }

  /** Stops; `leftMs` gives what is left until a share of the deadline has passed. Never rejects. */
  async stop(leftMs: (share: number) => number): Promise<StopOutcome> {
    const scrubbed = this.#scrubber.stop();
    const draining = this.#drain(leftMs(drainShare));
    // What waits in a shard that cannot commit now would wait on: closing it hands the jobs back.
    if (this.#shard?.state === 'open') await draining;
    const clean = await within(this.#deps.clock, leftMs(shardShare), this.#closeShard());
    const drained = await draining;
    await this.#publisher.close(leftMs(1) / 2);
    await within(this.#deps.clock, leftMs(1) / 2, scrubbed);
    return { clean: clean ?? false, drained };
  }

  async #openShard(published: PublishedCheckpoint | undefined): Promise<Shard> {
    const { clock } = this.#deps;
    const startedMs = clock.monotonicMs();
    const directory = shardDirectory(this.#config);
    const disk = await prepareShardDirectory(directory);
    const deps = { disk, lock: directoryLock(directory), clock, logger: this.#logger };
    this.#shard = await Shard.open({ ...deps, published, hooks: this.#hooks() }, shardSettings(this.#config));
    this.#recoveryMs = clock.monotonicMs() - startedMs;
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
        if (kind === 'sync') this.metrics.syncDone(durationMs / 1000);
        else this.metrics.commitDone({ putJobs: putCount, durationS: durationMs / 1000 });
      },
      onProgress: (done, total, phase) => this.#logger.debug({ done, total, phase }, 'recovery-progress'),
    };
  }

  #makeConsumers(shard: Shard): void {
    const { limits, queue, put, lookup } = this.#config;
    const { link, clock, hasSeveralHomes } = this.#deps;
    const { lockDurationMs, stalledIntervalMs, failedCountMax, failedAgeMaxS } = queue;
    const settings = { shard: this.number, limits, lockDurationMs, stalledIntervalMs, failedCountMax, failedAgeMaxS };
    const deps = {
      ...{ clock, logger: this.#logger, log: this.#log, observer: this.metrics },
      shard: this.#counted(shard),
    };
    const queues = {
      put: putQueueName(this.#archive, this.number),
      lookup: lookupQueueName(this.#archive, this.number),
    };
    this.#puts = new PutConsumer(
      { ...settings, queue: queues.put, concurrency: put.concurrency, bytesInHandMax: put.bytesMax },
      { ...deps, connection: link.open('put'), receipts: new ReceiptBatch(this.#replies), hasSeveralHomes },
    );
    this.#lookups = new LookupConsumer(
      // Lookup jobs are small; what they read and send is limited elsewhere.
      { ...settings, queue: queues.lookup, concurrency: lookup.concurrency, bytesInHandMax: put.bytesMax },
      { ...deps, connection: link.open('lookup'), replies: this.#replies },
    );
  }

  /** The shard as the consumers see it: what it acknowledges is counted on the way. */
  #counted(shard: Shard): ShardPort {
    return {
      lookupMany: (questions) => shard.lookupMany(questions),
      put: (request) => {
        return this.#uncommitted.during(shard.put(request)).then((result) => {
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
    this.metrics.shardChanged(state);
    if (cause !== undefined) this.#lastFailure = codeOf(cause) ?? cause.name;
    if (state === 'open') this.#puts?.intake.resume('shard');
    else this.#puts?.intake.pause('shard');
    if (state === 'failed') {
      this.#fail(new ServiceError('shard-failed', this.#named('it cannot store any more'), { cause }));
    }
  }

  #fail(error: ServiceError): void {
    this.#logger.error({ error }, 'worker-failed');
    this.#puts?.intake.pause('shard');
    this.#deps.failed(error);
  }

  #named(reason: string): string {
    return `shard ${this.number}: ${reason}`;
  }

  #pauses(): readonly string[] {
    return this.#puts?.intake.reasons ?? [];
  }

  #makeMetrics(): Metrics {
    return new Metrics(
      { archive: this.#archive, shard: this.number, version: packageVersion() },
      {
        shard: () => this.#facts(),
        diskSpace: this.#deps.diskSpace,
        redisWarnings: () => this.#deps.link.warnings,
        lastScrubS: () => this.#scrubber.lastSuccessS,
        lastBackupS: () => this.#lastBackupS(),
        pauses: () => this.#pauses(),
        jobCounts: () => this.#jobCounts(),
      },
    );
  }

  async #lastBackupS(): Promise<number | undefined> {
    if (this.#shard === undefined) return undefined;
    return ((await readLastSuccess(this.#side, lastBackupFile)) ?? 0) / 1000;
  }

  #facts(): ShardFacts | undefined {
    const shard = this.#shard;
    if (shard === undefined) return undefined;
    const { counters, resizing, tableSize } = shard.freezer;
    return {
      epoch: shard.checkpoint.epoch,
      records: this.#records(),
      unsyncedAgeS: this.#unsynced.seconds,
      uncommittedAgeS: this.#uncommitted.seconds,
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
      chainReads: { counts: counters.chainReads.keyCounts, sum: counters.chainReads.readCount },
      recoveryS: this.#recoveryMs / 1000,
      readOnly: shard.state === 'failed',
    };
  }

  async #jobCounts(): Promise<QueueCounts> {
    const { link } = this.#deps;
    if (!(await link.answers())) return [];
    const put = await readJobCounts(link.connection, putQueueName(this.#archive, this.number));
    const lookup = await readJobCounts(link.connection, lookupQueueName(this.#archive, this.number));
    return [
      ...put.map((count) => ({ queue: 'put', ...count })),
      ...lookup.map((count) => ({ queue: 'lookup', ...count })),
    ];
  }

  async #drain(timeoutMs: number): Promise<boolean> {
    const closed = await Promise.all([this.#puts?.close(timeoutMs), this.#lookups?.close(timeoutMs)]);
    return !closed.includes(false);
  }

  /** A shard that is still being opened, because another one of the process could not be, is closed after that. */
  async #closeShard(): Promise<boolean> {
    const shard = await this.#opening?.catch(() => undefined);
    return shard === undefined || (await shard.close()).clean;
  }
}
