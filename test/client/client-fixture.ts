import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { Client } from '../../src/client/client.ts';
import { ClientError, type ClientErrorCode } from '../../src/client/client-error.ts';
import type { ClientDependencies, ClientOptions } from '../../src/client/settings.ts';
import { parseArchiveName, topologyKey } from '../../src/protocol/names.ts';
import { encodeTopology } from '../../src/protocol/topology.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { BareWorker, type BareWorkerHooks } from './bare-worker.ts';

export const archive = parseArchiveName('demo');

/** One Redis and what a test starts on it; `reset` ends all of that and empties Redis, `stop` ends Redis too. */
export class Fixture {
  readonly server: RedisServer;
  /** For a look behind the client's back. */
  readonly redis: Redis;
  readonly #open: (() => Promise<void>)[] = [];

  private constructor(server: RedisServer) {
    this.server = server;
    this.redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    this.redis.on('error', () => {});
  }

  static async start(options: Parameters<typeof startRedis>[0] = {}): Promise<Fixture> {
    return new Fixture(await startRedis(options));
  }

  async client(options: Partial<ClientOptions> = {}, dependencies: ClientDependencies = {}): Promise<Client> {
    const client = await Client.connect({ archive, redis: this.server.url, ...options }, dependencies);
    this.#open.push(() => client.close());
    return client;
  }

  /** Says that the archive has had these numbers of shards, the last one now. */
  async topology(...counts: readonly number[]): Promise<void> {
    const generations = counts.map((shards, index) => ({ shards, time: index }));
    await this.redis.set(topologyKey(archive), JSON.stringify(encodeTopology({ generations })));
  }

  async worker(hooks: BareWorkerHooks = {}): Promise<BareWorker> {
    const worker = await BareWorker.start(this.server.url, archive, hooks);
    this.#open.push(() => worker.stop());
    return worker;
  }

  async reset(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((close) => close()));
    await this.redis.flushall();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((close) => close()));
    this.redis.disconnect();
    await this.server.stop();
  }
}

/** Waits for a failure with this code and gives it. */
export async function assertFails(code: ClientErrorCode, promise: Promise<unknown>): Promise<ClientError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ClientError, `not a ClientError: ${error}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`did not fail, expected ${code}`);
}

/** Asks again, once in each turn of the event loop, until it is so. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
