/**
 * Takes lookup jobs, asks the shard, and answers in parts.
 *
 * The reply is in Redis before the job completes: a crash between the two repeats the reply, and the client drops what
 * it has seen. A lookup whose deadline has passed, or whose client is dead, costs no read. Nothing here changes the
 * archive, so a lookup is never held: what the shard cannot answer now is answered `unavailable`.
 */
import type { Job } from 'bullmq';
import { decodeLookupJob, type LookupJob, lookupDeadlineMs } from '../protocol/lookup-job.ts';
import { jobNames } from '../protocol/names.ts';
import { ProtocolError, type WireError } from '../protocol/protocol-error.ts';
import {
  type LookupOutcome,
  type LookupResult,
  type Reply,
  refusalReply,
  replyBytes,
  replyParts,
} from '../protocol/reply.ts';
import { addressOf, type ReplyAddress } from '../protocol/reply-address.ts';
import { toWireError } from '../protocol/wire-error.ts';
import { type ConsumerDeps, type ConsumerSettings, JobConsumer } from './job-consumer.ts';
import { answerLookup } from './lookup-answer.ts';
import { shownJobId } from './put-id.ts';
import { guardedObserver } from './queue-observer.ts';
import { ReadGate } from './read-gate.ts';
import type { ReplySender } from './reply-sender.ts';
import type { ShardPort } from './shard-port.ts';
import { SliceSizes } from './slice-sizes.ts';

export interface LookupDeps extends ConsumerDeps {
  readonly shard: ShardPort;
  readonly replies: ReplySender;
}

export interface LookupSettings extends ConsumerSettings {
  readonly shard: number;
}

/** A reply is worth delivering at least so long, even when its deadline is near. */
const deliveryTimeoutMinMs = 1000;
/** Slices of lookups that are read or sent at once; each is of a few megabytes. */
const slicesMax = 4;

export class LookupConsumer {
  readonly #settings: LookupSettings;
  readonly #deps: LookupDeps;
  readonly #consumer: JobConsumer;
  readonly #gate = new ReadGate(slicesMax);
  readonly #sizes = new SliceSizes();

  constructor(settings: LookupSettings, deps: LookupDeps) {
    this.#settings = settings;
    this.#deps = { ...deps, observer: guardedObserver(deps.observer, deps.log) };
    this.#consumer = new JobConsumer(settings, deps, (job) => this.#take(job));
  }

  get intake(): JobConsumer['intake'] {
    return this.#consumer.intake;
  }

  run(): void {
    this.#consumer.run();
  }

  /** Fetches no more and answers what is in hand. */
  close(timeoutMs: number): Promise<boolean> {
    return this.#consumer.close(timeoutMs);
  }

  async #take(job: Job): Promise<void> {
    const unread = this.#consumer.refusalOf(job);
    if (unread !== undefined) return this.#refuse(job, toWireError(unread.error), unread.address);
    const lookup = this.#decode(job.data);
    if (lookup instanceof ProtocolError) {
      return this.#refuse(job, toWireError(lookup), addressOf(job.data, this.#settings.limits));
    }
    await this.#answer(job, lookup);
  }

  #decode(data: unknown): LookupJob | ProtocolError {
    try {
      return decodeLookupJob(data, this.#settings.limits);
    } catch (error) {
      if (error instanceof ProtocolError) return error;
      throw error;
    }
  }

  async #answer(job: Job, lookup: LookupJob): Promise<void> {
    const { clock, log, replies, shard, observer } = this.#deps;
    const startedMs = clock.monotonicMs();
    const deadlineMs = lookup.deadline ?? job.timestamp + lookupDeadlineMs;
    replies.asked(lookup.replyTo, job.timestamp);
    if (!(await replies.isAlive(lookup.replyTo))) {
      return this.#refuse(job, { code: 'unknown-client', message: 'replyTo: no such client lives' }, undefined);
    }
    const deps = { shard, clock, log, limits: this.#settings.limits, gate: this.#gate, sizes: this.#sizes };
    const counts = new Map<LookupOutcome, number>();
    const progress: ReplyProgress = { part: 0, results: [] };
    for await (const results of answerLookup(lookup, deadlineMs, this.#settings.shard, deps)) {
      for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      // Nobody takes the reply any more: nothing more is read for it.
      if (!(await this.#sendFull(lookup, deadlineMs, progress, results))) return;
    }
    await this.#send(lookup, deadlineMs, [{ id: lookup.id, ...progress, last: true }]);
    observer.lookupAnswered({ counts, durationS: (clock.monotonicMs() - startedMs) / 1000 });
  }

  /** Sends the parts that these results fill up, and keeps the rest; false when they could not be delivered. */
  async #sendFull(
    lookup: LookupJob,
    deadlineMs: number,
    progress: ReplyProgress,
    results: readonly LookupResult[],
  ): Promise<boolean> {
    const parts = [...replyParts(lookup.id, [...progress.results, ...results])];
    progress.results = parts.pop()?.results ?? [];
    if (parts.length === 0) return true;
    const full = parts.map((reply) => ({ ...reply, part: progress.part + reply.part }));
    progress.part += parts.length;
    return this.#send(lookup, deadlineMs, full);
  }

  #send(lookup: LookupJob, deadlineMs: number, parts: readonly Reply[]): Promise<boolean> {
    const timeoutMs = Math.max(deadlineMs - this.#deps.clock.wallMs(), deliveryTimeoutMinMs);
    const messages = parts.map(replyBytes);
    return this.#deps.replies.send(lookup.replyTo, { name: jobNames.reply, messages }, timeoutMs);
  }

  async #refuse(job: Job, error: WireError, address: ReplyAddress | undefined): Promise<void> {
    this.#deps.observer.lookupRefused(error.code);
    this.#deps.log.warn({ code: error.code, reason: error.message }, 'lookup-refused');
    this.#deps.logger.debug({ job: shownJobId(job.id), code: error.code }, 'lookup-refused-job');
    if (address !== undefined) {
      const messages = [replyBytes(refusalReply(address.id, error))];
      await this.#deps.replies.send(address.replyTo, { name: jobNames.reply, messages }, deliveryTimeoutMinMs);
    }
    await this.#consumer.fail(job, error);
  }
}

/** Number of the part that is being filled, and what is in it. */
interface ReplyProgress {
  part: number;
  results: readonly LookupResult[];
}
