/** Posts payloads of any kind to a real worker, and sees what becomes of each. */
import { readdir, readFile } from 'node:fs/promises';
import { Queue } from 'bullmq';
import { lookupQueueName, putQueueName, queuePrefix } from '../../src/protocol/names.ts';
import { readJobCounts } from '../../src/queue/job-counts.ts';
import { until } from '../live/limit.ts';
import { archive, expect, type Site } from '../live/site.ts';

export const shard = 0;
/** Limits of the worker: small ones reach the memory's bound with small payloads. */
export const valueBytesMax = 262_144;
export const jobBytesMax = 1_048_576;
export const putConcurrency = 16;
export const lookupConcurrency = 4;

const mib = 1_048_576;
/** What a worker takes that has nothing to do: Node, the modules, the engine's buffers and caches. */
const idleMib = 224;
/** A job in hand is there as Redis sends it, as text, parsed, decoded, and in the engine's buffers. */
const copiesOfJob = 8;
/** A giant is there as it arrives, joined and as text, before its size can be looked at; one of each queue at a time. */
const copiesOfGiant = 2 * 3;

/** The bound on a worker's memory, in MiB, that is promised for these settings. */
export function memoryBoundMib(giantBytes: number): number {
  const jobs = (putConcurrency + lookupConcurrency) * jobBytesMax * copiesOfJob;
  return idleMib + Math.ceil((jobs + giantBytes * copiesOfGiant) / mib);
}

export const workerSettings: Readonly<Record<string, string>> = {
  LIMITS_VALUE_BYTES_MAX: String(valueBytesMax),
  LIMITS_JOB_BYTES_MAX: String(jobBytesMax),
  PUT_CONCURRENCY: String(putConcurrency),
  LOOKUP_CONCURRENCY: String(lookupConcurrency),
  QUEUE_FAILED_COUNT_MAX: '1000000',
};

export interface Letter {
  readonly kind: 'put' | 'lookup';
  /** The job's data as Redis keeps it. */
  readonly text: string;
  /** Fields of the job's hash that are broken by hand. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** Why the job failed; undefined when it completed. */
export type Fate = string | undefined;

export class PostOffice implements AsyncDisposable {
  readonly #site: Site;
  readonly #queues: Readonly<Record<Letter['kind'], Queue>>;

  constructor(site: Site) {
    this.#site = site;
    const options = { connection: site.redis, prefix: queuePrefix };
    this.#queues = {
      put: new Queue(putQueueName(archive, shard), options),
      lookup: new Queue(lookupQueueName(archive, shard), options),
    };
    for (const queue of Object.values(this.#queues)) queue.on('error', () => {});
  }

  /** Posts all letters, before a worker runs, and gives their keys. */
  async post(letters: readonly Letter[]): Promise<readonly string[]> {
    const keys: string[] = [];
    for (const kind of ['put', 'lookup'] as const) {
      const posted = letters.flatMap((letter, index) => (letter.kind === kind ? [{ letter, index }] : []));
      const jobs = await this.#queues[kind].addBulk(posted.map(() => ({ name: kind, data: {} })));
      const pipeline = this.#site.redis.pipeline();
      for (const [at, { letter, index }] of posted.entries()) {
        const key = `${queuePrefix}:${this.#queues[kind].name}:${jobs[at]?.id}`;
        keys[index] = key;
        pipeline.hset(key, { data: letter.text, ...letter.fields });
      }
      await pipeline.exec();
    }
    return keys;
  }

  /** What became of each of the jobs, when there is none left to do. */
  async fates(keys: readonly string[]): Promise<readonly Fate[]> {
    let fates: readonly (Fate | 'pending')[] = [];
    await until(this.#site.signal, 'the end of all jobs', async () => {
      if ((await this.#openCount()) > 0) return false;
      fates = await Promise.all(keys.map((key) => this.#fateOf(key)));
      // The counts of the states are not of one moment: a job can slip through between two of them.
      return !fates.includes('pending');
    });
    return fates;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const queue of Object.values(this.#queues)) await queue.close();
  }

  async #openCount(): Promise<number> {
    let count = 0;
    for (const { name } of Object.values(this.#queues))
      for (const { state, count: jobs } of await readJobCounts(this.#site.redis, name))
        if (state !== 'failed') count += jobs;
    return count;
  }

  async #fateOf(key: string): Promise<Fate | 'pending'> {
    const [state, reason] = await Promise.all([
      this.#site.redis.exists(key),
      this.#site.redis.hget(key, 'failedReason'),
    ]);
    return state === 0 ? undefined : (reason ?? 'pending');
  }
}

/** The most memory that the process ever had, in MiB. */
export async function peakMemoryMib(pid: number): Promise<number> {
  const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

export async function requireMemory(pid: number, giantBytes: number): Promise<void> {
  const [peak, bound] = [await peakMemoryMib(pid), memoryBoundMib(giantBytes)];
  expect(peak <= bound, `the worker took ${Math.ceil(peak)} MiB of memory, its bound is ${bound} MiB`);
}

/** Why memory cannot be measured here. */
export async function missingProcfs(): Promise<string | undefined> {
  return readFile('/proc/self/status').then(
    () => undefined,
    () => 'no /proc to read the memory of a process from',
  );
}

const archiveFiles: readonly string[] = ['shard-0000', 'topology.json'];
const shardFile =
  /^(lock|lock-owner|identity\.json|checkpoint|commit-mark|sections|table-digests-[01]|(key|value)(\/[0-9a-f]{16})?|table(\/7461626c65)?)$/;

/** Nothing is below the data directory but the shard, and nothing in that but what a shard has. */
export async function requireNothingElse(dataDir: string): Promise<void> {
  const names = await readdir(dataDir, { recursive: true });
  const strange = names.filter(
    (name) => !archiveFiles.includes(name) && !shardFile.test(name.replace(/^shard-0000\//, '')),
  );
  expect(strange.length === 0, `there are files that nobody should have made: ${strange.slice(0, 5).join(', ')}`);
}
