import { randomBytes } from 'node:crypto';
import { type Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { encodeLookupJob } from '../../src/protocol/lookup-job.ts';
import {
  type ClientId,
  heartbeatKey,
  jobNames,
  lookupQueueName,
  parseClientId,
  queuePrefix,
  replyQueueName,
} from '../../src/protocol/names.ts';
import type { ReplyWire, ResultWire } from '../../src/protocol/reply.ts';
import { ValuesHash, Workload } from '../workload.ts';
import { archive, BenchRecords, shard } from './archive.ts';
import type { LookupLoad } from './loads.ts';
import type { Clocked } from './meter.ts';
import { Producer } from './put-driver.ts';
import { connect } from './redis.ts';

const heartbeatMs = 3_600_000;
const replyConcurrency = 16;
const warmUpShare = 0.1;

/** A client on bare queues: it sends lookup jobs, takes the parts of their replies, and does nothing with them. */
class Asker {
  readonly #redis: Redis;
  readonly #client: ClientId = parseClientId(`bench-${randomBytes(6).toString('hex')}`);
  readonly #queue: Queue;
  readonly #replies: Worker;
  readonly #pending = new Map<string, (results: readonly ResultWire[]) => void>();
  readonly #parts = new Map<string, ResultWire[]>();
  #nextId = 0;

  constructor(redisUrl: string) {
    this.#redis = connect(redisUrl);
    const options = { connection: this.#redis, prefix: queuePrefix, skipVersionCheck: true };
    this.#queue = new Queue(lookupQueueName(archive, shard), { ...options, streams: { events: { maxLen: 100 } } });
    this.#replies = new Worker(replyQueueName(archive, this.#client), async (job: Job) => this.#take(job.data), {
      ...options,
      concurrency: replyConcurrency,
      removeOnComplete: { count: 0 },
    });
  }

  async ready(): Promise<void> {
    await this.#redis.set(heartbeatKey(archive, this.#client), '1', 'PX', heartbeatMs);
    await this.#replies.waitUntilReady();
  }

  async ask(keys: readonly string[]): Promise<readonly ResultWire[]> {
    const id = `${this.#nextId++}`;
    const answered = new Promise<readonly ResultWire[]>((resolve) => this.#pending.set(id, resolve));
    const job = encodeLookupJob({ id, replyTo: { kind: 'client', client: this.#client }, keys });
    await this.#queue.add(jobNames.lookup, job, { attempts: 1, removeOnComplete: true });
    return answered;
  }

  async close(): Promise<void> {
    await this.#replies.close();
    await this.#queue.close();
    this.#redis.disconnect();
  }

  async #take({ id, last, results }: ReplyWire): Promise<void> {
    const parts = this.#parts.get(id);
    const all = parts === undefined ? [...results] : [...parts, ...results];
    if (!last) {
      this.#parts.set(id, all);
      return;
    }
    this.#parts.delete(id);
    this.#pending.get(id)?.(all);
    this.#pending.delete(id);
  }
}

export interface LookupsDriven {
  readonly timesMs: readonly number[];
  /** Over the values in the order of the questions, and what it must be for a worker. */
  readonly hash: string;
  readonly expectedHash: string;
}

/** Fills the archive, then asks for keys of it, so many jobs in flight at a time. */
export async function driveLookups(
  redisUrl: string,
  valueBytes: number,
  load: LookupLoad,
  clocked: Clocked,
): Promise<LookupsDriven> {
  await fill(redisUrl, valueBytes, load.archiveCount);
  const records = new BenchRecords(valueBytes, recordsPerJob);
  const positions = drawn(load);
  const asker = new Asker(redisUrl);
  await asker.ready();
  const warmUp = positions.slice(0, Math.ceil(positions.length * warmUpShare));
  await askAll(asker, records, warmUp, load.inFlightCount);
  const answers = await clocked(() => askAll(asker, records, positions, load.inFlightCount));
  await asker.close();
  const [found, expected] = [new ValuesHash(), new ValuesHash()];
  for (const [index, { results }] of answers.entries()) {
    found.add(results.map(({ value }) => (value === undefined ? undefined : Buffer.from(value, 'base64'))));
    expected.add(positions[index]?.map((position) => records.valueOf(position)) ?? []);
  }
  return { timesMs: answers.map(({ ms }) => ms), hash: found.digest(), expectedHash: expected.digest() };
}

const recordsPerJob = 100;

async function fill(redisUrl: string, valueBytes: number, recordCount: number): Promise<void> {
  const producer = new Producer(redisUrl, valueBytes, recordsPerJob);
  await producer.addAsTaken(Math.ceil(recordCount / recordsPerJob));
  await producer.drained();
  await producer.close();
}

/** The positions of each job's keys. */
function drawn({ jobCount, keysPerJob, archiveCount }: LookupLoad): number[][] {
  const workload = new Workload({ recordCount: archiveCount, keyBytes: 0, valueBytes: 0, batchCount: 1 });
  const all = workload.positions(0, jobCount * keysPerJob);
  return Array.from({ length: jobCount }, (_, job) => all.slice(job * keysPerJob, (job + 1) * keysPerJob));
}

interface Answered {
  readonly results: readonly ResultWire[];
  readonly ms: number;
}

async function askAll(
  asker: Asker,
  records: BenchRecords,
  positions: readonly (readonly number[])[],
  inFlightCount: number,
): Promise<Answered[]> {
  const answers: Answered[] = new Array(positions.length);
  const waiting = positions.entries();
  const lane = async (): Promise<void> => {
    for (const [index, job] of waiting) {
      const startMs = performance.now();
      const results = await asker.ask(job.map((position) => records.keyOf(position)));
      answers[index] = { results, ms: performance.now() - startMs };
    }
  };
  await Promise.all(Array.from({ length: inFlightCount }, lane));
  return answers;
}
