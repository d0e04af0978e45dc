/**
 * Takes put jobs and has a shard store them.
 *
 * A job is validated as a whole, handed to the shard, and held until its commit is on disk: only then do its receipt
 * and its completion go to Redis, the receipt first, so that a crash between the two repeats it instead of losing it.
 * Jobs settle in the order of their commits, which is the order in which they were fetched.
 *
 * Crash behaviour: a job that had not completed stays active in Redis until its lock runs out and is then delivered
 * again, as `redelivered`; the shard finds what it stored of it.
 */
import { type Job, WaitingError } from 'bullmq';
import { messageOf } from '../base/errors.ts';
import { formatCursor } from '../protocol/cursor-text.ts';
import type { WireError } from '../protocol/protocol-error.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { decodePutJob, type PutJob } from '../protocol/put-job.ts';
import { addressOf, type ReplyAddress } from '../protocol/reply-address.ts';
import { toWireError } from '../protocol/wire-error.ts';
import type { PutResult } from '../shard/put-request.ts';
import { DeliveryHistory } from './delivery-history.ts';
import { type ConsumerDeps, type ConsumerSettings, JobConsumer } from './job-consumer.ts';
import { type Verdict, verdictOn } from './job-outcome.ts';
import { putIdOf, shownJobId } from './put-id.ts';
import { guardedObserver } from './queue-observer.ts';
import type { ReceiptBatch } from './receipt-batch.ts';
import type { ShardPort } from './shard-port.ts';

export interface PutDeps extends ConsumerDeps {
  readonly shard: ShardPort;
  readonly receipts: ReceiptBatch;
  /** Whether a record with this key may be on another shard, too. Default: no. */
  readonly hasSeveralHomes?: (storedKey: Uint8Array) => boolean;
}

export interface PutSettings extends ConsumerSettings {
  /** Number of the shard, as receipts and cursors name it. */
  readonly shard: number;
}

const severalHomes: WireError = {
  code: 'several-homes',
  message: 'ifExists: a key may be on several shards, of which none can decide it alone; only "append" is possible',
};
const holdMinMs = 100;
const holdMaxMs = 2000;
/** So many tries a job gets that meets errors which nobody foresaw. */
const unforeseenCountMax = 5;

export class PutConsumer {
  readonly history: DeliveryHistory;
  readonly #settings: PutSettings;
  readonly #deps: PutDeps;
  readonly #consumer: JobConsumer;
  readonly #stopping = Promise.withResolvers<void>();
  #stopped = false;
  #heldCount = 0;

  constructor(settings: PutSettings, deps: PutDeps) {
    this.#settings = settings;
    this.#deps = { ...deps, observer: guardedObserver(deps.observer, deps.log) };
    this.history = new DeliveryHistory(deps.clock);
    // One server, or a node of a cluster.
    for (const event of ['close', '-node']) deps.connection.on(event, () => this.history.doubt());
    this.#consumer = new JobConsumer(settings, deps, (job, token) => this.#take(job, token));
  }

  get intake(): JobConsumer['intake'] {
    return this.#consumer.intake;
  }

  run(): void {
    this.#consumer.run();
  }

  /** Fetches no more; jobs in hand settle, those that the shard cannot take now go back to the queue. */
  close(timeoutMs: number): Promise<boolean> {
    this.#stopped = true;
    this.#stopping.resolve();
    return this.#consumer.close(timeoutMs);
  }

  async #take(job: Job, token: string): Promise<void> {
    const unread = this.#consumer.refusalOf(job);
    if (unread !== undefined) return this.#refuse(job, toWireError(unread.error), unread.address);
    const put = this.#decode(job.data);
    if (put instanceof ProtocolError) {
      return this.#refuse(job, toWireError(put), addressOf(job.data, this.#settings.limits));
    }
    // The parsed job holds the payloads once more, in base64; nobody needs it from here on.
    job.data = undefined;
    await this.#store(job, token, put);
  }

  #decode(data: unknown): PutJob | ProtocolError {
    try {
      return decodePutJob(data, this.#settings.limits);
    } catch (error) {
      if (error instanceof ProtocolError) return error;
      throw error;
    }
  }

  async #store(job: Job, token: string, put: PutJob): Promise<void> {
    const { records, ifExists, places } = put;
    if (put.replyTo !== undefined) this.#deps.receipts.asked(put.replyTo, job.timestamp);
    // A put that its sender repeats may have been stored by an older job.
    const createdAtMs = put.repeat ? undefined : job.timestamp;
    const request = { putId: putIdOf(put.id, job.id, job.timestamp), records, places, ifExists, createdAtMs };
    let redelivered = put.repeat || this.history.mayBeRepeated(job);
    // One that was delivered before was decided then, and may be stored.
    if (!redelivered && this.#asksOthers(put)) return this.#refuse(job, severalHomes, addressIn(put));
    let unforeseenCount = 0;
    for (let delayMs = holdMinMs; ; delayMs = Math.min(delayMs * 2, holdMaxMs)) {
      const stored = await this.#deps.shard.put({ ...request, redelivered }).catch(asFailure);
      // From here on the put is durable: whatever follows does not decide its fate.
      if ('commit' in stored) return this.#acknowledge(job, put, stored);
      const verdict = this.#verdictOn(stored.error, unforeseenCount);
      if (verdict.kind === 'refuse') return this.#refuse(job, verdict.error, addressIn(put));
      if (verdict.kind === 'hand-back' || this.#stopped) return this.#handBack(job, token);
      this.#deps.log.warn({ error: stored.error }, verdict.kind === 'hold' ? 'put-held' : 'put-tried-again');
      if (verdict.kind === 'hold') await this.#hold(delayMs);
      else await this.#rest(delayMs);
      if (verdict.kind === 'retry') unforeseenCount += 1;
      // The attempt that failed may have stored a part of it.
      redelivered = true;
    }
  }

  /** Whether it depends on what other shards hold, which this one cannot know. */
  #asksOthers({ ifExists, records }: PutJob): boolean {
    const { hasSeveralHomes } = this.#deps;
    return ifExists !== 'append' && records.some(({ storedKey }) => hasSeveralHomes?.(storedKey) === true);
  }

  /** An error that nobody foresaw counts against the job only while the shard itself says that it is well. */
  #verdictOn(error: unknown, unforeseenCount: number): Verdict {
    const verdict = verdictOn(error);
    if (verdict.kind !== 'retry') return verdict;
    if (this.intake.reasons.includes('shard')) return { kind: 'hold' };
    if (unforeseenCount + 1 < unforeseenCountMax) return verdict;
    this.#deps.logger.error({ error, tries: unforeseenCountMax }, 'put-given-up');
    const message = `after ${unforeseenCountMax} tries: ${messageOf(error)}`;
    return { kind: 'refuse', error: { code: 'internal', message } };
  }

  async #acknowledge(job: Job, put: PutJob, stored: PutResult): Promise<void> {
    const counts = { stored: 0, unchanged: 0, kept: 0 };
    let bytes = 0;
    for (const [index, { outcome }] of stored.records.entries()) {
      counts[outcome] += 1;
      if (outcome === 'stored') bytes += put.records[index]?.payload.length ?? 0;
    }
    const waitS = Math.max(0, this.#deps.clock.wallMs() - job.timestamp) / 1000;
    this.#deps.observer.putStored({ counts, bytes, waitS });
    const address = addressIn(put);
    if (address === undefined) return;
    const { shard } = this.#settings;
    const records = stored.records.map(({ cursor, outcome }) => ({ cursor: formatCursor(shard, cursor), outcome }));
    await this.#deps.receipts.add(address.replyTo, { id: address.id, shard, commit: stored.commit, records });
  }

  async #refuse(job: Job, error: WireError, address: ReplyAddress | undefined): Promise<void> {
    this.#deps.observer.putRefused(error.code);
    this.#deps.log.warn({ code: error.code, reason: error.message }, 'put-refused');
    this.#deps.logger.debug({ job: shownJobId(job.id), code: error.code }, 'put-refused-job');
    if (address !== undefined) {
      await this.#deps.receipts.add(address.replyTo, { id: address.id, shard: this.#settings.shard, error });
    }
    await this.#consumer.fail(job, error);
  }

  /** The intake rests while a job is held: what the shard refuses for one it refuses for the next. */
  async #hold(delayMs: number): Promise<void> {
    this.#heldCount += 1;
    this.intake.pause('held');
    await this.#rest(delayMs);
    this.#heldCount -= 1;
    if (this.#heldCount === 0) this.intake.resume('held');
  }

  /** So long, or until we are stopped. */
  async #rest(delayMs: number): Promise<void> {
    const waited = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(delayMs, waited.resolve);
    await Promise.race([waited.promise, this.#stopping.promise]);
    timer.cancel();
  }

  async #handBack(job: Job, token: string): Promise<never> {
    this.#deps.observer.putHandedBack();
    await job.moveToWait(token);
    throw new WaitingError();
  }
}

function asFailure(error: unknown): { readonly error: unknown } {
  return { error };
}

function addressIn(put: PutJob): ReplyAddress | undefined {
  const { id, replyTo } = put;
  return id === undefined || replyTo === undefined ? undefined : { id, replyTo };
}
