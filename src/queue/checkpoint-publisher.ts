/**
 * Says in Redis which checkpoint of a shard is durable.
 *
 * It only ever says what is on disk already: the shard hands a notice over after its own checkpoint file is durable.
 * It never holds up the shard: a notice that cannot be published waits, the newest replaces older ones, and Redis is
 * asked again until it takes it. Redis takes a notice only if it is not older than the one there.
 *
 * The lease says which process publishes, and that it lives: it is renewed at an interval and with each publication, and
 * runs out when it is not. The process that started last takes it; one that finds it taken by another has been replaced
 * (a cloned volume, a worker that hung while its successor started) and is fenced: it never publishes again, and says so.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import {
  type CheckpointNotice,
  decodeCheckpointNotice,
  encodeCheckpointNotice,
} from '../protocol/checkpoint-notice.ts';
import { leaseRenewalMs, leaseTtlMs } from '../protocol/lifetimes.ts';
import { type ArchiveName, checkpointKey, checkpointsKey, leaseKey } from '../protocol/names.ts';
import type { RedisConnection } from './connection.ts';
import { guardedObserver, type QueueObserver } from './queue-observer.ts';
import type { ThrottledLog } from './throttled-log.ts';
import { pause, within } from './within.ts';

export interface PublisherSettings {
  readonly archive: ArchiveName;
  readonly shard: number;
  /** Names this process, and no other one ever. */
  readonly owner: string;
}

export interface PublisherDeps {
  readonly connection: RedisConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ThrottledLog;
  readonly observer: QueueObserver;
}

/** What Redis held when the shard was opened. */
export interface PublishedState {
  readonly notice: CheckpointNotice | undefined;
  /** The run of the Redis server that the last notice went to. */
  readonly redisRunId: string | undefined;
}

const historyCountMax = 1000;
const retryMinMs = 200;
const retryMaxMs = 5000;
const runIdField = 'redisRunId';

/** Keys: checkpoint, history, lease. Arguments: owner, its time to live, history length, then the fields of the notice. */
const publishScript = `
local fields = {}
for i = 4, #ARGV do fields[#fields + 1] = ARGV[i] end
local notice = {}
for i = 1, #fields, 2 do notice[fields[i]] = fields[i + 1] end
local owner = redis.call('GET', KEYS[3])
if owner and owner ~= ARGV[1] then return 'fenced' end
local there = redis.call('HMGET', KEYS[1], 'instance', 'epoch')
if there[1] and there[1] ~= notice['instance'] then return 'fenced' end
if there[2] and tonumber(there[2]) > tonumber(notice['epoch']) then return 'stale' end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(fields))
return 'published'`;

/** Key: lease. Arguments: owner, its time to live. */
const renewScript = `
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[1] then return 'fenced' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'renewed'`;

/** Key: lease. Argument: owner. */
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/** Reads what is published, before the shard is opened. A notice that cannot be read is a ProtocolError. */
export async function readPublished(
  redis: RedisConnection,
  archive: ArchiveName,
  shard: number,
): Promise<PublishedState> {
  const fields = await redis.hgetall(checkpointKey(archive, shard));
  return { notice: decodeCheckpointNotice(fields), redisRunId: fields[runIdField] };
}

export class CheckpointPublisher {
  readonly #settings: PublisherSettings;
  readonly #deps: PublisherDeps;
  readonly #fenced = Promise.withResolvers<string>();
  #redisRunId = '';
  #pending: CheckpointNotice | undefined;
  #publishing: Promise<void> | undefined;
  #renewal: Timer | undefined;
  #publishedEpoch = 0;
  #leased = false;
  #isFenced = false;
  #closed = false;

  constructor(settings: PublisherSettings, deps: PublisherDeps) {
    this.#settings = settings;
    this.#deps = { ...deps, observer: guardedObserver(deps.observer, deps.log) };
  }

  /** Resolves, with the reason, when another process has taken this one's place. */
  get fenced(): Promise<string> {
    return this.#fenced.promise;
  }

  get isFenced(): boolean {
    return this.#isFenced;
  }

  /** Epoch of the newest notice that Redis has taken from this process; 0 before the first. */
  get publishedEpoch(): number {
    return this.#publishedEpoch;
  }

  /**
   * Takes the lease, from whomever has it, and begins to publish. With `replace` what is published now counts for
   * nothing: the operator has said that the volume is right.
   */
  async takeLease(options: { readonly replace: boolean }): Promise<void> {
    const { archive, shard, owner } = this.#settings;
    if (options.replace) await this.#deps.connection.del(checkpointKey(archive, shard));
    await this.#deps.connection.set(leaseKey(archive, shard), owner, 'PX', leaseTtlMs);
    this.#leased = true;
    this.#renewLater();
    this.#turn();
  }

  /** Which run of Redis this is: goes along with each notice, so that the next worker knows what was lost. */
  setRedisRun(runId: string): void {
    this.#redisRunId = runId;
  }

  /** Hands a durable checkpoint over and returns at once. */
  publish(notice: CheckpointNotice): void {
    if (this.#pending !== undefined && this.#pending.epoch > notice.epoch) return;
    this.#pending = notice;
    this.#turn();
  }

  /**
   * Waits until the newest notice is in Redis and the lease given back, at most `timeoutMs`, and not at all for a Redis
   * that is gone: the next start publishes it, and the lease runs out. Resolves to whether the notice is there.
   */
  async close(timeoutMs: number): Promise<boolean> {
    const isThere = this.#deps.connection.status === 'ready';
    if (isThere) await within(this.#deps.clock, timeoutMs, this.#leave());
    this.#closed = true;
    this.#renewal?.cancel();
    return this.#publishing === undefined;
  }

  async #leave(): Promise<void> {
    await this.#publishing;
    if (!this.#leased) return;
    const { archive, shard, owner } = this.#settings;
    this.#renewal?.cancel();
    await this.#deps.connection
      .eval(releaseScript, 1, leaseKey(archive, shard), owner)
      .catch((error: unknown) => this.#deps.log.warn({ error }, 'lease-not-released'));
  }

  #renewLater(): void {
    this.#renewal = this.#deps.clock.after(leaseRenewalMs, () => void this.#renew());
  }

  /** While Redis is gone one renewal waits for it. */
  async #renew(): Promise<void> {
    const { archive, shard, owner } = this.#settings;
    try {
      const answer = await this.#deps.connection.eval(renewScript, 1, leaseKey(archive, shard), owner, leaseTtlMs);
      if (answer === 'fenced') this.#fence('another worker took the shard over');
    } catch (error) {
      this.#deps.log.warn({ error }, 'lease-not-renewed');
    }
    if (!this.#closed && !this.#isFenced) this.#renewLater();
  }

  #turn(): void {
    if (this.#publishing === undefined && this.#next() !== undefined) this.#publishing = this.#publishAll();
  }

  #next(): CheckpointNotice | undefined {
    return this.#leased && !this.#closed && !this.#isFenced ? this.#pending : undefined;
  }

  async #publishAll(): Promise<void> {
    let delayMs = retryMinMs;
    for (let notice = this.#next(); notice !== undefined; notice = this.#next()) {
      try {
        this.#settle(notice, await this.#attempt(notice));
        delayMs = retryMinMs;
      } catch (error) {
        this.#deps.log.warn({ error, epoch: notice.epoch }, 'checkpoint-not-published');
        await pause(this.#deps.clock, delayMs);
        delayMs = Math.min(delayMs * 2, retryMaxMs);
      }
    }
    this.#publishing = undefined;
  }

  async #attempt(notice: CheckpointNotice): Promise<unknown> {
    const { archive, shard, owner } = this.#settings;
    const keys = [checkpointKey(archive, shard), checkpointsKey(archive, shard), leaseKey(archive, shard)];
    const fields = Object.entries({ ...encodeCheckpointNotice(notice), [runIdField]: this.#redisRunId }).flat();
    return this.#deps.connection.eval(
      publishScript,
      keys.length,
      ...keys,
      owner,
      leaseTtlMs,
      historyCountMax,
      ...fields,
    );
  }

  #settle(notice: CheckpointNotice, answer: unknown): void {
    if (this.#pending === notice) this.#pending = undefined;
    if (answer === 'published') {
      this.#publishedEpoch = notice.epoch;
      this.#deps.observer.checkpointPublished(notice.epoch, (this.#deps.clock.wallMs() - notice.time) / 1000);
      return;
    }
    this.#fence(
      answer === 'stale' ? 'a newer checkpoint of this shard is published' : 'another worker took the shard over',
    );
  }

  #fence(reason: string): void {
    if (this.#isFenced) return;
    this.#isFenced = true;
    this.#deps.logger.error({ epoch: this.#publishedEpoch, reason }, 'worker-fenced');
    this.#fenced.resolve(reason);
  }
}
