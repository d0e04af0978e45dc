/**
 * `bench jobs`: a queue with finished jobs of every shape, archived by the command as an operator runs it, killed on the
 * way. What the jobs were is written down before and compared after; what may not leave (flows that are still open,
 * schedulers) has to be there, and to go on to its end.
 */
import fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { Client } from '../../src/client/client.ts';
import { BenchError } from '../bench-error.ts';
import { describeMachine } from '../machine.ts';
import { archive } from '../service/archive.ts';
import { startConsumer } from '../service/consumer.ts';
import { connect, startRedis } from '../service/redis.ts';
import { runArchiver } from './archiver.ts';
import { type Comparison, Ledger } from './ledger.ts';
import { queueName } from './mixture.ts';
import { type JobsOptions, parseJobsOptions } from './options.ts';
import { formatJobsReport, type JobsReport } from './report.ts';
import { nextTurn, Shop } from './shop.ts';

export { jobsUsage } from './options.ts';

type Say = (line: string) => void;

/** Measures and prints the report; a job that is lost is an error. */
export async function benchJobs(words: readonly string[]): Promise<void> {
  const options = parseJobsOptions(words);
  const directory = await fs.mkdtemp(join(options.directory, 'permafrost-bench-'));
  const say: Say = options.json ? () => {} : (line) => console.error(line);
  try {
    const report = await measured(options, directory, say);
    console.log(options.json ? JSON.stringify(report, undefined, 2) : formatJobsReport(report));
    if (report.lost > 0)
      throw new BenchError(`${report.lost} jobs are neither in Redis nor in the archive as they were`);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function measured(options: JobsOptions, directory: string, say: Say): Promise<JobsReport> {
  const redis = await startRedis(join(directory, 'redis'));
  const connection = connect(redis.url);
  try {
    const dataDirectory = join(directory, 'data');
    const place = { redisUrl: redis.url, dataDirectory, valueBytes: 0, profileDirectory: undefined };
    const worker = await startConsumer('worker', place);
    const client = await Client.connect({ archive, redis: redis.url });
    try {
      return await new Trial(options, connection, redis.url, client, say).run(directory);
    } finally {
      await client.close();
      await worker.stop();
    }
  } finally {
    connection.disconnect();
    await redis.stop();
  }
}

class Trial {
  readonly #options: JobsOptions;
  readonly #redis: Redis;
  readonly #url: string;
  readonly #client: Client;
  readonly #say: Say;
  readonly #ledger = new Ledger(queueName);

  constructor(options: JobsOptions, redis: Redis, url: string, client: Client, say: Say) {
    this.#options = options;
    this.#redis = redis;
    this.#url = url;
    this.#client = client;
    this.#say = say;
  }

  async run(directory: string): Promise<JobsReport> {
    const shop = new Shop(this.#redis);
    this.#say(`filling a queue with ${this.#options.jobCount} jobs …`);
    await shop.fill(this.#options.jobCount);
    await this.#ledger.take(this.#redis);
    const [jobs, shapes, bytes] = [this.#ledger.jobCount, this.#ledger.byShape, this.#ledger.bytes];
    const before = await this.#memory();
    const killed = await this.#killAgainAndAgain(jobs);
    // A lease that a killed archiver has left is none of the time that archiving takes.
    while ((await this.#redis.exists(`bull:${queueName}:permafrost-archiver`)) === 1) await nextTurn();
    const finalStart = await this.#finishedCount();
    this.#say(`archiving the other ${finalStart} …`);
    const { summary, ms } = await runArchiver(this.#url, this.#options.marginSeconds);
    if (summary === undefined) throw new BenchError('the archiver ended before its time');
    const after = await this.#memory();
    this.#say('comparing every job with its record …');
    const first = await this.#compare();
    await shop.endFlows();
    await this.#ledger.take(this.#redis);
    await runArchiver(this.#url, this.#options.marginSeconds);
    const second = await this.#compare();
    const schedulers = (await shop.queue.getJobSchedulers()).length;
    await shop.close();
    return {
      inputs: this.#options,
      machine: await describeMachine(directory),
      ...{ jobs, shapes, bytes, killed, ms, summary, schedulers },
      memory: { before, after },
      finalRun: { jobs: finalStart, marginMs: this.#options.marginSeconds * 1000 },
      ...{ lost: first.lost + second.lost, left: first.left, leftAtEnd: second.left },
    };
  }

  /** Kills the archiver each time that it has taken its share of the jobs out of Redis. */
  async #killAgainAndAgain(jobs: number): Promise<readonly number[]> {
    const { killCount } = this.#options;
    const removed: number[] = [];
    for (let kill = 1; kill <= killCount; kill++) {
      const level = jobs - Math.round((jobs * 0.5 * kill) / killCount);
      this.#say(`killing the archiver at ${level} jobs left …`);
      const { summary } = await runArchiver(
        this.#url,
        this.#options.marginSeconds,
        async () => (await this.#finishedCount()) < level,
      );
      if (summary !== undefined) break;
      const { lost } = await this.#compare();
      if (lost > 0) throw new BenchError(`${lost} jobs are lost after kill ${kill}`);
      removed.push(jobs - (await this.#finishedCount()));
    }
    return removed;
  }

  async #finishedCount(): Promise<number> {
    const counts = await Promise.all(
      ['completed', 'failed'].map((state) => this.#redis.zcard(`bull:${queueName}:${state}`)),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  #compare(): Promise<Comparison> {
    return this.#ledger.compare(this.#redis, this.#client);
  }

  /** Bytes that Redis has given to data. */
  async #memory(): Promise<number> {
    const info = await this.#redis.info('memory');
    return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
  }
}
