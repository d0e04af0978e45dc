import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { formatCursor } from '../../src/protocol/cursor-text.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob, type LookupJob } from '../../src/protocol/lookup-job.ts';
import {
  type ArchiveName,
  type ClientId,
  jobNames,
  lookupQueueName,
  putQueueName,
  queuePrefix,
  replyQueueName,
} from '../../src/protocol/names.ts';
import { decodePutJob, type PutJob } from '../../src/protocol/put-job.ts';
import { encodeReceipts, type Receipt } from '../../src/protocol/receipts.ts';
import { encodeReply, type LookupResult, type Reply, replyParts } from '../../src/protocol/reply.ts';

/** What the fake worker keeps of a record. */
export interface Kept {
  readonly payload: Buffer;
  readonly cursor: string;
  readonly time: number;
}

/** One more for each record that any of these workers keeps. */
let lastTime = 0;

export interface BareWorkerHooks {
  /** Replaces the answer to a put. */
  readonly put?: (job: PutJob, worker: BareWorker) => Promise<void> | void;
  /** Replaces the answer to a lookup. */
  readonly lookup?: (job: LookupJob, worker: BareWorker) => Promise<void> | void;
  readonly shard?: number;
}

/** A worker made of bare BullMQ and the protocol: it keeps records in memory and answers as the contract says. */
export class BareWorker {
  readonly kept = new Map<string, Kept>();
  readonly puts: PutJob[] = [];
  readonly lookups: LookupJob[] = [];
  readonly shard: number;
  readonly #archive: ArchiveName;
  readonly #connection: Redis;
  readonly #workers: Worker[] = [];
  readonly #replies = new Map<string, Queue>();

  private constructor(url: string, archive: ArchiveName, shard: number) {
    this.#archive = archive;
    this.#connection = new Redis(url, { maxRetriesPerRequest: null });
    this.#connection.on('error', () => {});
    this.shard = shard;
  }

  static async start(url: string, archive: ArchiveName, hooks: BareWorkerHooks = {}): Promise<BareWorker> {
    const worker = new BareWorker(url, archive, hooks.shard ?? 0);
    const { shard } = worker;
    worker.#run(putQueueName(archive, shard), async (data) => {
      const job = decodePutJob(data, defaultLimits);
      worker.puts.push(job);
      await (hooks.put ?? store)(job, worker);
    });
    worker.#run(lookupQueueName(archive, shard), async (data) => {
      const job = decodeLookupJob(data, defaultLimits);
      worker.lookups.push(job);
      await (hooks.lookup ?? answer)(job, worker);
    });
    await Promise.all(worker.#workers.map((each) => each.waitUntilReady()));
    return worker;
  }

  async sendReceipts(client: ClientId, receipts: readonly Receipt[]): Promise<void> {
    await this.send(client, jobNames.receipts, encodeReceipts(receipts));
  }

  async sendReply(client: ClientId, reply: Reply): Promise<void> {
    await this.send(client, jobNames.reply, encodeReply(reply));
  }

  /** Puts any message on a client's reply queue. */
  async send(client: ClientId, name: string, data: unknown): Promise<void> {
    const queueName = replyQueueName(this.#archive, client);
    const queue =
      this.#replies.get(queueName) ??
      new Queue(queueName, {
        connection: this.#connection,
        prefix: queuePrefix,
        streams: { events: { maxLen: 0 } },
        defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
      });
    this.#replies.set(queueName, queue);
    await queue.add(name, data);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await Promise.all([...this.#replies.values()].map((queue) => queue.close()));
    this.#connection.disconnect();
  }

  #run(queue: string, take: (data: unknown) => Promise<void>): void {
    const worker = new Worker(queue, (job) => take(job.data), {
      connection: this.#connection,
      prefix: queuePrefix,
      concurrency: 16,
      removeOnComplete: { count: 0 },
    });
    worker.on('error', () => {});
    this.#workers.push(worker);
  }
}

export function clientOf(job: PutJob | LookupJob): ClientId {
  if (job.replyTo?.kind !== 'client') throw new Error('the job names no client');
  return job.replyTo.client;
}

/** Stores the records and sends the receipt. */
export async function store(job: PutJob, worker: BareWorker): Promise<void> {
  const records = job.records.map(({ key, payload }) => {
    const cursor = formatCursor(worker.shard, cursorBytes(worker.kept.size + 1));
    lastTime += 1;
    worker.kept.set(key, { payload, cursor, time: lastTime });
    return { cursor, outcome: 'stored' as const };
  });
  await worker.sendReceipts(clientOf(job), [{ id: job.id ?? '', shard: worker.shard, commit: 1, records }]);
}

/** Looks the records up and sends the reply, in parts where it is large. */
export async function answer(job: LookupJob, worker: BareWorker): Promise<void> {
  for (const part of replyParts(job.id, results(job, worker))) await worker.sendReply(clientOf(job), part);
}

function cursorBytes(number: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32BE(number, 16);
  return bytes;
}

export function results(job: LookupJob, worker: BareWorker): LookupResult[] {
  const wanted = new Set(job.cursors.map(({ text }) => text));
  const byCursor = new Map<string, { key: string; payload: Buffer }>();
  if (wanted.size > 0) {
    for (const [key, { payload, cursor }] of worker.kept)
      if (wanted.has(cursor)) byCursor.set(cursor, { key, payload });
  }
  const keys = job.keys.map(({ key }): LookupResult => {
    const kept = worker.kept.get(key);
    if (kept === undefined) return { key, outcome: 'missing' };
    const { cursor, time, payload } = kept;
    return { key, outcome: 'found', cursor, time, put: job.id, value: job.values ? payload : undefined };
  });
  const cursors = job.cursors.map(({ text }): LookupResult => {
    const found = byCursor.get(text);
    if (found === undefined) return { cursor: text, outcome: 'missing' };
    return { cursor: text, outcome: 'found', key: found.key, value: job.values ? found.payload : undefined };
  });
  return [...keys, ...cursors];
}
