import type { Clock } from '../base/clock.ts';
import { clientTtlMs, replyListCountMax, replyListTtlMs } from '../protocol/lifetimes.ts';
import {
  type ArchiveName,
  type ClientId,
  heartbeatKey,
  queuePrefix,
  replyListKey,
  replyQueueName,
} from '../protocol/names.ts';
import type { ReplyTo } from '../protocol/reply-address.ts';
import { BytesQueue } from './bytes-queue.ts';
import type { RedisConnection } from './connection.ts';
import { guardedObserver, type QueueObserver } from './queue-observer.ts';
import type { ThrottledLog } from './throttled-log.ts';
import { pause } from './within.ts';

export interface ReplySettings {
  readonly archive: ArchiveName;
  /** Reply queues that are kept open, least recently used ones closed first. */
  readonly openQueuesMax: number;
  /** Entries of a reply queue's event stream. */
  readonly eventsMax: number;
}

export interface ReplyDeps {
  /** Shared by all reply queues; not closed by the sender. */
  readonly connection: RedisConnection;
  readonly clock: Clock;
  readonly log: ThrottledLog;
  readonly observer: QueueObserver;
}

/** A message and the name of the BullMQ job that it travels in. */
export interface OutgoingReply {
  readonly name: string;
  /** A Buffer is a message that is JSON already. */
  readonly messages: readonly (object | Buffer)[];
}

const jobsPerCall = 8;
const retryMinMs = 100;
const retryMaxMs = 2000;
/** A heartbeat that was seen counts for so long without another look. */
const aliveForMs = 1000;
const jobOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;

/** Appends to a list that is not full. Returns 1, or 0 when it is full. */
const pushScript = `
if redis.call('LLEN', KEYS[1]) + #ARGV - 2 > tonumber(ARGV[1]) then return 0 end
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`;

/**
 * Delivers replies and receipts to clients' queues, or to lists.
 *
 * One connection and one Queue object a client, the latter in a bounded set. Delivery is at least once. What cannot be
 * delivered is dropped and counted: a client without a heartbeat, a full list, a Redis that has refused until the
 * deadline. While Redis is gone a delivery waits for it.
 */
export class ReplySender {
  readonly #settings: ReplySettings;
  readonly #deps: ReplyDeps;
  readonly #queues = new Map<ClientId, BytesQueue>();
  readonly #aliveUntilMs = new Map<ClientId, number>();

  constructor(settings: ReplySettings, deps: ReplyDeps) {
    this.#settings = settings;
    this.#deps = { ...deps, observer: guardedObserver(deps.observer, deps.log) };
  }

  /** Whether somebody may still read what is sent there. A list has no heartbeat: it expires by itself. */
  async isAlive(replyTo: ReplyTo): Promise<boolean> {
    if (replyTo.kind === 'list') return true;
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs < (this.#aliveUntilMs.get(replyTo.client) ?? 0)) return true;
    const alive = (await this.#deps.connection.exists(heartbeatKey(this.#settings.archive, replyTo.client))) === 1;
    if (alive) remember(this.#aliveUntilMs, replyTo.client, nowMs + aliveForMs, this.#settings.openQueuesMax);
    return alive;
  }

  /**
   * The client has sent a job at this time of the wall clock: that counts as a heartbeat. A Redis that lost everything
   * lost the heartbeats too, and who asked just now is there all the same.
   */
  asked(replyTo: ReplyTo, atMs: number): void {
    if (replyTo.kind === 'list') return;
    const { clock } = this.#deps;
    const leftMs = clientTtlMs - Math.abs(clock.wallMs() - atMs);
    const untilMs = clock.monotonicMs() + leftMs;
    if (leftMs <= 0 || untilMs <= (this.#aliveUntilMs.get(replyTo.client) ?? 0)) return;
    remember(this.#aliveUntilMs, replyTo.client, untilMs, this.#settings.openQueuesMax);
  }

  /** Resolves to whether it was delivered. Never rejects: what cannot be delivered within `timeoutMs` is dropped. */
  async send(replyTo: ReplyTo, reply: OutgoingReply, timeoutMs: number): Promise<boolean> {
    const endMs = this.#deps.clock.monotonicMs() + timeoutMs;
    for (let delayMs = retryMinMs; ; delayMs = Math.min(delayMs * 2, retryMaxMs)) {
      try {
        return await this.#attempt(replyTo, reply);
      } catch (error) {
        this.#deps.log.warn({ error }, 'reply-refused-by-redis');
        if (this.#deps.clock.monotonicMs() + delayMs > endMs) break;
      }
      await pause(this.#deps.clock, delayMs);
    }
    this.#deps.observer.replyDropped('undeliverable', reply.messages.length);
    return false;
  }

  /** Lets go of the queues. The connection is the caller's. */
  async close(): Promise<void> {
    const queues = [...this.#queues.values()];
    this.#queues.clear();
    await Promise.all(queues.map((queue) => queue.close()));
  }

  async #attempt(replyTo: ReplyTo, reply: OutgoingReply): Promise<boolean> {
    if (replyTo.kind === 'list') return this.#push(replyTo.list, reply.messages);
    if (!(await this.isAlive(replyTo))) {
      this.#deps.observer.replyDropped('dead-client', reply.messages.length);
      return false;
    }
    const queue = this.#queueOf(replyTo.client);
    for (let start = 0; start < reply.messages.length; start += jobsPerCall) {
      const slice = reply.messages.slice(start, start + jobsPerCall);
      // Not `addBulk`: it makes an ioredis pipeline each time, which costs more than what it carries.
      await Promise.all(slice.map((data) => queue.add(reply.name, data, jobOptions)));
    }
    return true;
  }

  async #push(list: ClientId, messages: OutgoingReply['messages']): Promise<boolean> {
    const key = replyListKey(this.#settings.archive, list);
    const texts = messages.map((message) => (Buffer.isBuffer(message) ? message : JSON.stringify(message)));
    const pushed = await this.#deps.connection.eval(pushScript, 1, key, replyListCountMax, replyListTtlMs, ...texts);
    if (pushed === 1) return true;
    this.#deps.observer.replyDropped('list-full', messages.length);
    return false;
  }

  #queueOf(client: ClientId): BytesQueue {
    const open = this.#queues.get(client) ?? this.#openQueue(client);
    // A Map keeps the order of insertion: the first one is the least recently used.
    this.#queues.delete(client);
    this.#queues.set(client, open);
    if (this.#queues.size > this.#settings.openQueuesMax) this.#closeOldest();
    return open;
  }

  #openQueue(client: ClientId): BytesQueue {
    const queue = new BytesQueue(replyQueueName(this.#settings.archive, client), {
      connection: this.#deps.connection,
      prefix: queuePrefix,
      streams: { events: { maxLen: this.#settings.eventsMax } },
      skipVersionCheck: true,
    });
    queue.on('error', (error) => this.#deps.log.warn({ error }, 'reply-queue-error'));
    return queue;
  }

  #closeOldest(): void {
    const [oldest] = this.#queues;
    if (oldest === undefined) return;
    this.#queues.delete(oldest[0]);
    void oldest[1].close();
  }
}

function remember<K, V>(map: Map<K, V>, key: K, value: V, countMax: number): void {
  if (map.size >= countMax) map.clear();
  map.set(key, value);
}
