import { Counter, Gauge, Histogram, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import { chainReadBounds } from '../freezer/chain-reads.ts';
import type { PutOutcome } from '../protocol/receipts.ts';
import { type LookupOutcome, lookupOutcomes } from '../protocol/reply.ts';
import type { DropReason, QueueObserver } from '../queue/queue-observer.ts';
import type { RedisWarning } from '../queue/redis-check.ts';
import type { RedisTrouble } from '../queue/redis-trouble.ts';
import type { ShardState } from '../shard/shard-hooks.ts';
import { Activity } from './activity.ts';
import type { DiskSpace } from './disk-watch.ts';
import { TalliedHistogram, type Tally } from './tallied-histogram.ts';
import { worstOutcome } from './worst-outcome.ts';

/** What the gauges show of a shard; read at each scrape. */
export interface ShardFacts {
  readonly epoch: number;
  /** Records in all, all versions. */
  readonly records: number;
  /** Age of the oldest put that no checkpoint covers yet; 0 when there is none. */
  readonly unsyncedAgeS: number;
  /** Age of the oldest put in hand that is not durable yet; 0 when there is none. */
  readonly uncommittedAgeS: number;
  readonly tableBuckets: number;
  /** Part of the running resize that is done; 1 when none runs. */
  readonly resizeProgress: number;
  /** What the engine counted since the shard's files were opened, by operation. */
  readonly operations: Readonly<Record<EngineOperation, number>>;
  /** Key records read for each key that was looked up, by `chainReadBounds`; since the shard's files were opened. */
  readonly chainReads: Tally;
  readonly recoveryS: number;
  /** Lookups only: the shard cannot store any more. */
  readonly readOnly: boolean;
}

/** As the engine's counters are called. */
export type EngineOperation = 'put' | 'get' | 'has' | 'unnecessary-read' | 'unnecessary-write' | 'resize';

/** What the gauges show; read at each scrape. A part that is not known yet is left out. */
export interface MetricSources {
  shard(): ShardFacts | undefined;
  diskSpace(): DiskSpace | undefined;
  /** What is wrong with how this Redis is set up; `undefined` until it was looked at. */
  redisWarnings(): readonly RedisWarning[] | undefined;
  /** Wall clock of the last scrub that found nothing; 0 for never, undefined when scrubbing is off. */
  lastScrubS(): number | undefined;
  /** Wall clock of the last backup; 0 for never. */
  lastBackupS(): Promise<number | undefined>;
  /** Reasons for which no puts are fetched. */
  pauses(): readonly string[];
  /** Jobs by queue (`put`, `lookup`) and state; rejects when Redis does not answer. */
  jobCounts(): Promise<readonly { readonly queue: string; readonly state: string; readonly count: number }[]>;
}

/** Why a write failed, by the state that it left the shard in. */
const writeFailures: ReadonlyMap<ShardState, string> = new Map([
  ['recovering', 'failed'],
  ['disk-full', 'full'],
]);
const pauseReasons = ['low-disk', 'shard', 'held', 'redis'] as const;
const unsuitableReasons = ['old-version', 'may-evict', 'no-append-only-file'] as const;
const fastS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const countBuckets = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000];

/**
 * The metrics of one shard in a registry of their own, every name beginning with `permafrost_`. Labels never carry keys,
 * job ids or clients.
 */
export class Metrics implements QueueObserver {
  /** The same puts and lookups, for the status page. */
  readonly activity = new Activity();
  readonly #registry = new Registry();
  #isOpen = true;
  readonly #records = this.#counter('archive_records_total', 'Records of acknowledged puts.', ['outcome']);
  readonly #bytes = this.#counter('archive_bytes_total', 'Bytes of payload that were stored.', []);
  readonly #putJobs = this.#counter('put_jobs_total', 'Put jobs by how they ended.', ['outcome']);
  readonly #refused = this.#counter('refused_jobs_total', 'Jobs that failed for good, by code.', ['queue', 'code']);
  readonly #duplicates = this.#counter('duplicate_records_total', 'Records that were stored already.', []);
  readonly #putWait = this.#histogram('put_wait_seconds', 'From being queued to being durable.', fastS, []);
  readonly #lookups = this.#counter('lookup_results_total', 'Answers to keys and cursors.', ['outcome']);
  readonly #lookupTime = this.#histogram('lookup_duration_seconds', 'From fetching a lookup to its reply.', fastS, [
    'outcome',
  ]);
  readonly #dropped = this.#counter('replies_dropped_total', 'Replies that were not delivered.', ['reason']);
  readonly #redisErrors = this.#counter('redis_errors_total', 'Errors of Redis by kind.', ['kind']);
  readonly #stalled = this.#counter('stalled_jobs_total', 'Jobs whose worker had died.', []);
  readonly #commitTime = this.#histogram('commit_duration_seconds', 'Of a group commit with its fsyncs.', fastS, []);
  readonly #commitSize = this.#histogram('commit_put_jobs', 'Put jobs of a group commit.', countBuckets, []);
  readonly #syncTime = this.#histogram('sync_duration_seconds', 'Of a sync.', fastS, []);
  readonly #fsyncErrors = this.#counter('fsync_errors_total', 'Commits and syncs that the disk failed.', ['reason']);
  readonly #corrupt = this.#counter('corrupt_records_total', 'Damage that was met, by kind of file.', ['file']);
  readonly #scrubbed = this.#counter('scrub_bytes_total', 'Bytes that scrubs have read.', []);
  readonly #published = this.#gauge('checkpoint_published_epoch', 'Epoch of the newest checkpoint in Redis.');
  readonly #publishLag = this.#gauge('checkpoint_publish_lag_seconds', 'From its sync to its being in Redis.');

  constructor(
    identity: { readonly archive: string; readonly shard: number; readonly version: string },
    sources: MetricSources,
  ) {
    const { archive, shard, version } = identity;
    this.#registry.setDefaultLabels({ archive, shard: String(shard) });
    this.#gauge('build_info', 'Always 1.', ['version', 'node']).set({ version, node: process.version }, 1);
    for (const reason of ['failed', 'full']) this.#fsyncErrors.inc({ reason }, 0);
    for (const file of ['key', 'value', 'unknown']) this.#corrupt.inc({ file }, 0);
    for (const outcome of lookupOutcomes) this.#lookupTime.zero({ outcome });
    this.#addShardGauges(sources);
    this.#addSafetyGauges(sources);
    this.#addWorkerGauges(sources);
    this.#addQueueGauges(sources);
  }

  /** All metrics as they are now. */
  values(): Promise<MetricObjectWithValues<MetricValue<string>>[]> {
    return this.#registry.getMetricsAsJSON();
  }

  commitDone(fact: { readonly putJobs: number; readonly durationS: number }): void {
    this.#commitTime.observe(fact.durationS);
    this.#commitSize.observe(fact.putJobs);
  }

  syncDone(durationS: number): void {
    this.#syncTime.observe(durationS);
  }

  /** A shard that leaves `open` by itself had a write that failed; what follows until it is open again is its mending. */
  shardChanged(state: ShardState): void {
    const reason = writeFailures.get(state);
    if (this.#isOpen && reason !== undefined) this.#fsyncErrors.inc({ reason });
    this.#isOpen = state === 'open';
  }

  putStored(fact: { counts: Readonly<Record<PutOutcome, number>>; bytes: number; waitS: number }): void {
    this.#putJobs.inc({ outcome: 'completed' });
    for (const [outcome, count] of Object.entries(fact.counts)) this.#records.inc({ outcome }, count);
    this.#duplicates.inc(fact.counts.unchanged);
    this.#bytes.inc(fact.bytes);
    this.activity.putStored(sumOf(Object.values(fact.counts)), fact.bytes, fact.waitS);
    if (fact.waitS >= 0 && Number.isFinite(fact.waitS)) this.#putWait.observe(fact.waitS);
  }

  putRefused(code: string): void {
    this.#putJobs.inc({ outcome: 'refused' });
    this.#refused.inc({ queue: 'put', code });
  }

  putHandedBack(): void {
    this.#putJobs.inc({ outcome: 'handed-back' });
  }

  lookupAnswered(fact: { counts: ReadonlyMap<LookupOutcome, number>; durationS: number }): void {
    for (const [outcome, count] of fact.counts) this.#lookups.inc({ outcome }, count);
    const corrupt = fact.counts.get('corrupt') ?? 0;
    this.#corrupt.inc({ file: 'unknown' }, corrupt);
    this.activity.damageMet(corrupt);
    this.#lookupTime.observe({ outcome: worstOutcome(fact.counts.keys()) }, fact.durationS);
    this.activity.lookupAnswered(sumOf(fact.counts.values()), fact.durationS);
  }

  lookupRefused(code: string): void {
    this.#refused.inc({ queue: 'lookup', code });
  }

  replyDropped(reason: DropReason, count: number): void {
    this.#dropped.inc({ reason }, count);
  }

  redisTrouble(kind: RedisTrouble): void {
    this.#redisErrors.inc({ kind });
  }

  scrubRead(bytes: number): void {
    this.#scrubbed.inc(bytes);
  }

  scrubFound(file: 'key' | 'value'): void {
    this.activity.damageMet(1);
    this.#corrupt.inc({ file });
  }

  jobStalled(): void {
    this.#stalled.inc();
  }

  checkpointPublished(epoch: number, lagS: number): void {
    this.#published.set(epoch);
    this.activity.publishedEpoch = epoch;
    this.#publishLag.set(Math.max(0, lagS));
  }

  #addShardGauges({ shard }: MetricSources): void {
    this.#shown('checkpoint_epoch', 'Epoch of the newest durable checkpoint.', () => shard()?.epoch);
    this.#shown('records', 'Records in the shard, all versions.', () => shard()?.records);
    this.#shown(
      'unsynced_oldest_age_seconds',
      'Age of the oldest put without a checkpoint.',
      () => shard()?.unsyncedAgeS,
    );
    this.#shown(
      'uncommitted_oldest_age_seconds',
      'Age of the oldest put in hand that is not durable.',
      () => shard()?.uncommittedAgeS,
    );
    this.#shown('table_buckets', 'Buckets of the table.', () => shard()?.tableBuckets);
    this.#shown('table_load_ratio', 'Records for each bucket of the table.', () => ratioOf(shard()));
    this.#shown('resize_progress_ratio', 'Part of the running resize that is done.', () => shard()?.resizeProgress);
    const operations = this.#counter('engine_operations_total', 'Operations of the engine.', ['operation'], () => {
      operations.reset();
      for (const [operation, count] of Object.entries(shard()?.operations ?? {})) operations.inc({ operation }, count);
    });
    this.#tallied('lookup_chain_reads', 'Key records read for a key.', chainReadBounds, () => shard()?.chainReads);
    this.#shown('recovery_duration_seconds', 'How long the last opening took.', () => shard()?.recoveryS);
    this.#shown('readonly', '1 when the shard cannot store any more.', () => flag(shard()?.readOnly));
  }

  #addSafetyGauges({ lastScrubS, lastBackupS }: MetricSources): void {
    this.#shown('scrub_last_success_timestamp_seconds', 'End of the last scrub that found nothing.', lastScrubS);
    this.#shown('backup_last_success_timestamp_seconds', 'End of the last backup.', lastBackupS);
  }

  #addWorkerGauges(sources: MetricSources): void {
    this.#shown('disk_free_bytes', 'Bytes free below the archive.', () => sources.diskSpace()?.free);
    this.#shown('disk_size_bytes', 'Bytes of the file system of the archive.', () => sources.diskSpace()?.size);
    const unsuitable = this.#gauge('redis_unsuitable', '1 for each fault of how Redis is set up.', ['reason'], () => {
      const codes = sources.redisWarnings()?.map(({ code }) => code);
      for (const reason of codes === undefined ? [] : unsuitableReasons)
        unsuitable.set({ reason }, Number(codes?.includes(reason)));
    });
    const paused = this.#gauge('intake_paused', '1 while puts are not fetched, by reason.', ['reason'], () => {
      const reasons = sources.pauses();
      for (const reason of pauseReasons) paused.set({ reason }, reasons.includes(reason) ? 1 : 0);
    });
  }

  #addQueueGauges({ jobCounts }: MetricSources): void {
    let asked: ReturnType<MetricSources['jobCounts']> | undefined;
    // Both gauges are read in one turn: Redis is asked once for the two.
    const counted = (): ReturnType<MetricSources['jobCounts']> => {
      asked ??= jobCounts()
        .catch(() => [])
        .finally(() => {
          asked = undefined;
        });
      return asked;
    };
    const jobs = this.#gauge('queue_jobs', 'Jobs by queue and state.', ['queue', 'state'], async () => {
      const counts = await counted();
      jobs.reset();
      for (const { queue, state, count } of counts) jobs.set({ queue, state }, count);
    });
    const dead = this.#gauge('dead_letter_records', 'Refused jobs that are kept.', ['queue'], async () => {
      const counts = await counted();
      dead.reset();
      for (const { queue, state, count } of counts) if (state === 'failed') dead.set({ queue }, count);
    });
  }

  /** A gauge that is read when it is scraped; it shows nothing while its value is not known. */
  #shown(name: string, help: string, value: () => number | undefined | Promise<number | undefined>): void {
    const gauge = this.#gauge(name, help, [], async () => {
      const now = await value();
      if (now === undefined) gauge.remove();
      else gauge.set(now);
    });
  }

  #counter<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect: () => void = () => {},
  ): Counter<L> {
    return new Counter({ name: `permafrost_${name}`, help, labelNames, registers: [this.#registry], collect });
  }

  #histogram<L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[]): Histogram<L> {
    return new Histogram({ name: `permafrost_${name}`, help, buckets, labelNames, registers: [this.#registry] });
  }

  #tallied(name: string, help: string, bounds: readonly number[], tally: () => Tally | undefined): void {
    this.#registry.registerMetric(new TalliedHistogram({ name: `permafrost_${name}`, help, bounds }, tally));
  }

  #gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect: () => void | Promise<void> = () => {},
  ): Gauge<L> {
    return new Gauge({ name: `permafrost_${name}`, help, labelNames, registers: [this.#registry], collect });
  }
}

function sumOf(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

function ratioOf(facts: ShardFacts | undefined): number | undefined {
  return facts === undefined ? undefined : facts.records / facts.tableBuckets;
}

function flag(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
