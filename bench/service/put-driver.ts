import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { Client } from '../../src/client/client.ts';
import { jobNames, putQueueName, queuePrefix } from '../../src/protocol/names.ts';
import { BenchError } from '../bench-error.ts';
import { archive, BenchRecords, shard } from './archive.ts';
import type { LatencyLoad, PutLoad } from './loads.ts';
import type { Clocked } from './meter.ts';
import { connect } from './redis.ts';

const queueName = putQueueName(archive, shard);
const pollMs = 1;
/** Records that one call adds, and that may wait before the producer rests. */
const recordsPerCall = 1600;
const waitingRecordsMax = 6400;
const warmUpShare = 0.1;

/** Adds put jobs to the queue with as little work as a producer can have, and watches the queue run empty. */
export class Producer {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #records: BenchRecords;
  readonly #recordsPerJob: number;
  #next = 0;

  constructor(redisUrl: string, valueBytes: number, recordsPerJob: number) {
    this.#redis = connect(redisUrl);
    this.#records = new BenchRecords(valueBytes, recordsPerJob);
    this.#recordsPerJob = recordsPerJob;
    const streams = { events: { maxLen: 100 } };
    const connection = this.#redis;
    this.#queue = new Queue(queueName, { connection, prefix: queuePrefix, streams, skipVersionCheck: true });
  }

  /** Adds the next jobs, no faster than they are taken. */
  async addAsTaken(jobCount: number): Promise<void> {
    const waitingMax = Math.ceil(waitingRecordsMax / this.#recordsPerJob);
    await this.#add(jobCount, async () => {
      while ((await this.#waiting()) > waitingMax) await sleep(pollMs);
    });
  }

  /** Adds the next jobs while nothing is taken from the queue. */
  async preload(jobCount: number): Promise<void> {
    await this.#queue.pause();
    await this.#add(jobCount, async () => {});
  }

  resume(): Promise<void> {
    return this.#queue.resume();
  }

  /** Resolves when no job waits and none is in hand. A job that failed is an error. */
  async drained(): Promise<void> {
    while ((await this.#waiting()) + (await this.#length('active')) > 0) await sleep(pollMs);
    const failed = await this.#redis.zcard(`${queuePrefix}:${queueName}:failed`);
    if (failed > 0) throw new BenchError(`${failed} put jobs failed`);
  }

  async close(): Promise<void> {
    await this.#queue.close();
    this.#redis.disconnect();
  }

  async #add(jobCount: number, room: () => Promise<void>): Promise<void> {
    const perCall = Math.ceil(recordsPerCall / this.#recordsPerJob);
    const end = this.#next + jobCount;
    while (this.#next < end) {
      await room();
      const count = Math.min(perCall, end - this.#next);
      const jobs = Array.from({ length: count }, (_, at) => this.#records.job(this.#next + at));
      this.#next += count;
      const opts = { attempts: 1, removeOnComplete: true };
      await this.#queue.addBulk(jobs.map((data) => ({ name: jobNames.put, data, opts })));
    }
  }

  #waiting(): Promise<number> {
    return this.#length('wait');
  }

  #length(state: 'wait' | 'active'): Promise<number> {
    return this.#redis.llen(`${queuePrefix}:${queueName}:${state}`);
  }
}

/** Puts all jobs of the load; the clock runs from the first one, or from the end of the preloading, to the empty queue. */
export async function drivePuts(redisUrl: string, valueBytes: number, load: PutLoad, clocked: Clocked): Promise<void> {
  const producer = new Producer(redisUrl, valueBytes, load.recordsPerJob);
  await producer.addAsTaken(Math.ceil(load.jobCount * warmUpShare));
  await producer.drained();
  if (load.preloaded) await producer.preload(load.jobCount);
  await clocked(async () => {
    if (load.preloaded) await producer.resume();
    else await producer.addAsTaken(load.jobCount);
    await producer.drained();
  });
  await producer.close();
}

const idleMs = 5;

/** Puts one record after the other with the client's library, a pause before each; gives the time of each. */
export async function driveLatency(redisUrl: string, valueBytes: number, load: LatencyLoad): Promise<number[]> {
  const records = new BenchRecords(valueBytes, 1);
  await using client = await Client.connect({ archive, redis: redisUrl });
  const put = async (position: number): Promise<number> => {
    const record = { key: records.keyOf(position), value: records.valueOf(position) };
    await sleep(idleMs);
    const startMs = performance.now();
    await client.put(record);
    return performance.now() - startMs;
  };
  const warmUpCount = Math.ceil(load.putCount * warmUpShare);
  for (let at = 0; at < warmUpCount; at++) await put(at);
  const times: number[] = [];
  for (let at = 0; at < load.putCount; at++) times.push(await put(warmUpCount + at));
  return times;
}
