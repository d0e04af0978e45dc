import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlowProducer, type Job, type JobsOptions, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Client } from '../../src/client/client.ts';
import { parseArchiveName, topologyKey } from '../../src/protocol/names.ts';
import { encodeTopology } from '../../src/protocol/topology.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { WorkerProcess } from '../service/worker-process.ts';

/** What a job's `data` may ask of the worker below. */
interface Wish {
  readonly fail?: string;
  readonly returns?: unknown;
  readonly logs?: readonly string[];
}

/** A Redis that holds users' queues, and an archive with a real worker and a client. */
export class ArchiveSite {
  readonly server: RedisServer;
  readonly redis: Redis;
  readonly client: Client;
  readonly #worker: WorkerProcess;
  readonly #directory: string;
  readonly #open: { close(): Promise<unknown> }[] = [];

  private constructor(server: RedisServer, worker: WorkerProcess, client: Client, directory: string) {
    this.server = server;
    this.redis = new Redis(server.url, { maxRetriesPerRequest: null });
    this.client = client;
    this.#worker = worker;
    this.#directory = directory;
  }

  /** `grown`: the archive has grown from one shard to three, so that most keys have two homes. */
  static async start({ grown = false } = {}): Promise<ArchiveSite> {
    const server = await startRedis();
    if (grown) await grow(server);
    const directory = await mkdtemp(join(tmpdir(), 'permafrost-jobs-'));
    const worker = new WorkerProcess({
      PERMAFROST_REDIS_URL: server.url,
      PERMAFROST_DATA_DIR: directory,
      PERMAFROST_HTTP_PORT: '0',
      PERMAFROST_DISK_PAUSE_BELOW_BYTES: '0',
      PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '1024',
      ...(grown ? { PERMAFROST_SHARDS: '0-2' } : {}),
    });
    await worker.logged('worker-ready');
    const client = await Client.connect({ archive: 'main', redis: server.url });
    return new ArchiveSite(server, worker, client, directory);
  }

  get environment(): Readonly<Record<string, string>> {
    return { PERMAFROST_REDIS_URL: this.server.url };
  }

  queue(name: string, prefix = 'bull'): Queue {
    const queue = new Queue(name, { connection: this.redis, prefix });
    this.#open.push(queue);
    return queue;
  }

  flows(): FlowProducer {
    const flows = new FlowProducer({ connection: this.redis });
    this.#open.push(flows);
    return flows;
  }

  /** A worker that does what each job's data asks for, or what `work` says. */
  worker(name: string, work: (job: Job<Wish>) => Promise<unknown> = obey): Worker {
    const worker = new Worker<Wish>(name, work, { connection: this.redis, concurrency: 16, drainDelay: 1 });
    worker.on('error', () => {});
    this.#open.push({ close: () => worker.close(true) });
    return worker;
  }

  /** Adds the jobs and lets a worker finish them. */
  async finish(name: string, jobs: readonly { data: Wish; name?: string; opts?: JobsOptions }[]): Promise<void> {
    const queue = this.queue(name);
    await queue.addBulk(jobs.map((job) => ({ name: 'work', ...job })));
    await this.drain(name, jobs.length);
  }

  /** Lets a worker work until so many more jobs of the queue have ended. */
  async drain(name: string, count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = count;
    const worker = this.worker(name);
    const step = (): void => {
      left -= 1;
      if (left === 0) resolve();
    };
    worker.on('completed', step).on('failed', step);
    await promise;
    await worker.close();
  }

  /** What Redis holds of a queue's jobs: every key of theirs. */
  async jobKeys(name: string): Promise<readonly string[]> {
    const own = new Set(['meta', 'id', 'events', 'marker', 'stalled-check', 'pc', 'stalled']);
    const prefix = `bull:${name}:`;
    const keys = await this.redis.keys(`${prefix}*`);
    return keys.filter((key) => !own.has(key.slice(prefix.length))).sort();
  }

  /** The archived document under a key. */
  async archived(key: string): Promise<Record<string, unknown> | undefined> {
    const found = await this.client.lookup(key);
    return found === undefined ? undefined : JSON.parse(found.value.toString());
  }

  /** When jobs with this id ended, by the archive's index. */
  async ends(queue: string, id: string): Promise<readonly number[]> {
    const { finishedOn } = (await this.archived(`bull:bull:${queue}:${id}:newest`)) ?? {};
    return Array.isArray(finishedOn) ? finishedOn : [];
  }

  /** Ends what a test has opened, and empties the queues, not the archive. */
  async reset(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((each) => each.close()));
    const keys = await this.redis.keys('bull:*');
    if (keys.length > 0) await this.redis.del(keys);
  }

  async stop(): Promise<void> {
    await this.reset();
    await this.client.close();
    await this.#worker.end('SIGKILL');
    this.redis.disconnect();
    await this.server.stop();
    await rm(this.#directory, { recursive: true });
  }
}

async function grow(server: RedisServer): Promise<void> {
  const redis = new Redis(server.url);
  const generations = [1, 3].map((shards, index) => ({ shards, time: 1_700_000_000_000 + index }));
  await redis.set(topologyKey(parseArchiveName('main')), JSON.stringify(encodeTopology({ generations })));
  redis.disconnect();
}

async function obey(job: Job<Wish>): Promise<unknown> {
  for (const line of job.data.logs ?? []) await job.log(line);
  if (job.data.fail !== undefined) throw new Error(job.data.fail);
  return job.data.returns;
}
