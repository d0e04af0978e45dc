import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { defaultLimits, type ProtocolLimits } from '../../src/protocol/limits.ts';
import {
  heartbeatKey,
  lookupQueueName,
  parseArchiveName,
  parseClientId,
  putQueueName,
  queuePrefix,
  replyListKey,
} from '../../src/protocol/names.ts';
import { openConnection, type RedisConnection } from '../../src/queue/connection.ts';
import { LookupConsumer } from '../../src/queue/lookup-consumer.ts';
import { PutConsumer } from '../../src/queue/put-consumer.ts';
import { type QueueObserver, silentObserver } from '../../src/queue/queue-observer.ts';
import { ReceiptBatch } from '../../src/queue/receipt-batch.ts';
import { ReplySender } from '../../src/queue/reply-sender.ts';
import type { ShardPort } from '../../src/queue/shard-port.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import type { RedisServer } from '../redis/redis-server.ts';

export interface BenchOptions {
  readonly hasSeveralHomes?: (storedKey: Uint8Array) => boolean;
  readonly limits?: Partial<ProtocolLimits>;
  readonly observer?: Partial<QueueObserver>;
  readonly lockDurationMs?: number;
}

export const archive = parseArchiveName('bench');

/** The queue side of a worker at a given Redis, with both consumers around one shard, and a producer's view of it. */
export class QueueBench {
  readonly redis: Redis;
  readonly puts: Queue;
  readonly lookups: Queue;
  readonly putConsumer: PutConsumer;
  readonly lookupConsumer: LookupConsumer;
  readonly replies: ReplySender;
  readonly #replyConnection: RedisConnection;

  constructor(server: Pick<RedisServer, 'url'>, shard: ShardPort, options: BenchOptions = {}) {
    const where = { url: server.url, username: '', password: '', tlsCaFile: '' };
    const quiet = <T extends { on(event: 'error', listener: () => void): unknown }>(emitter: T): T => {
      emitter.on('error', () => {});
      return emitter;
    };
    this.redis = quiet(new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 }));
    const queueOptions = { connection: this.redis, prefix: queuePrefix };
    this.puts = quiet(new Queue(putQueueName(archive, 0), queueOptions));
    this.lookups = quiet(new Queue(lookupQueueName(archive, 0), queueOptions));
    this.#replyConnection = quiet(openConnection(where, 'replies'));
    const log = new ThrottledLog(silentLogger, systemClock);
    const observer = { ...silentObserver, ...options.observer };
    const deps = { clock: systemClock, logger: silentLogger, log, observer };
    this.replies = new ReplySender(
      { archive, openQueuesMax: 10, eventsMax: 10 },
      { ...deps, connection: this.#replyConnection },
    );
    const settings = {
      shard: 0,
      concurrency: 16,
      bytesInHandMax: 8_388_608,
      limits: { ...defaultLimits, ...options.limits },
      lockDurationMs: options.lockDurationMs ?? 20_000,
      stalledIntervalMs: 500,
      failedCountMax: 100,
      failedAgeMaxS: 3600,
    };
    this.putConsumer = new PutConsumer(
      { ...settings, queue: putQueueName(archive, 0) },
      {
        ...{
          ...deps,
          connection: quiet(openConnection(where, 'put')),
          shard,
          receipts: new ReceiptBatch(this.replies),
        },
        ...(options.hasSeveralHomes === undefined ? {} : { hasSeveralHomes: options.hasSeveralHomes }),
      },
    );
    this.lookupConsumer = new LookupConsumer(
      { ...settings, queue: lookupQueueName(archive, 0) },
      { ...deps, connection: quiet(openConnection(where, 'lookup')), shard, replies: this.replies },
    );
  }

  run(): this {
    this.putConsumer.run();
    this.lookupConsumer.run();
    return this;
  }

  addPut(data: unknown, jobId?: string): ReturnType<Queue['add']> {
    return this.puts.add('put', data, jobId === undefined ? {} : { jobId });
  }

  addLookup(data: unknown): ReturnType<Queue['add']> {
    return this.lookups.add('lookup', data);
  }

  /** Lets a client live. */
  async greet(client: string): Promise<void> {
    await this.redis.set(heartbeatKey(archive, parseClientId(client)), '1');
  }

  /** The next message on a reply list, as JSON. */
  async nextOnList(list: string, timeoutS = 10): Promise<unknown> {
    const popper = this.redis.duplicate();
    try {
      const [, text] = (await popper.blpop(replyListKey(archive, parseClientId(list)), timeoutS)) ?? [];
      if (text === undefined) throw new Error(`no message within ${timeoutS} s`);
      return JSON.parse(text);
    } finally {
      popper.disconnect();
    }
  }

  /** Resolves at the next event of that name on the put queue, read from its event stream. */
  async nextEvent(queue: Queue, event: 'completed' | 'failed', jobId: string): Promise<void> {
    const reader = this.redis.duplicate();
    reader.on('error', () => {});
    try {
      for (let last = '0'; ; ) {
        const read = await reader.xread('BLOCK', 10_000, 'STREAMS', `${queuePrefix}:${queue.name}:events`, last);
        const entries = read?.[0]?.[1];
        if (entries === undefined) throw new Error(`no event ${event} of job ${jobId} within 10 s`);
        for (const [id, fields] of entries) {
          last = id;
          if (fields.includes(event) && fields[fields.indexOf('jobId') + 1] === jobId) return;
        }
      }
    } finally {
      reader.disconnect();
    }
  }

  async close(timeoutMs = 5000): Promise<readonly [boolean, boolean]> {
    const clean = await Promise.all([this.putConsumer.close(timeoutMs), this.lookupConsumer.close(timeoutMs)]);
    await this.replies.close();
    await this.puts.close();
    await this.lookups.close();
    this.#replyConnection.disconnect();
    this.redis.disconnect();
    return clean;
  }
}
