import { Queue } from 'bullmq';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import {
  type ArchiveName,
  type ClientId,
  clientOfReplyKey,
  heartbeatKey,
  queuePrefix,
  replyQueueName,
  replyQueuePattern,
} from '../protocol/names.ts';
import { type RedisConnection, serversOf } from './connection.ts';
import type { ThrottledLog } from './throttled-log.ts';

export interface JanitorSettings {
  readonly archive: ArchiveName;
  readonly intervalMs: number;
  /** A client that has been silent for longer is dead, and its reply queue removed. */
  readonly silenceMaxMs: number;
}

export interface JanitorDeps {
  /** Shared; not closed by the janitor. */
  readonly connection: RedisConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ThrottledLog;
}

const scanCount = 1000;
const removalCount = 1000;

/**
 * Removes the reply queues of clients that died: BullMQ gives them no time to live.
 *
 * A queue is removed only when this janitor has seen its client silent, on each of its rounds, for the whole time. A
 * client that comes back later makes its queue anew. Several janitors do not disturb each other.
 */
export class Janitor {
  readonly #settings: JanitorSettings;
  readonly #deps: JanitorDeps;
  readonly #silentSinceMs = new Map<ClientId, number>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(settings: JanitorSettings, deps: JanitorDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  start(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(this.#settings.intervalMs, () => {
      void this.sweep()
        .catch((error: unknown) => this.#deps.log.warn({ error }, 'janitor-failed'))
        .then(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** One round. Resolves to the number of queues that were removed. */
  async sweep(): Promise<number> {
    const clients = await this.#clients();
    for (const known of this.#silentSinceMs.keys()) if (!clients.has(known)) this.#silentSinceMs.delete(known);
    let removed = 0;
    for (const client of clients) {
      if (this.#stopped) break;
      if (!(await this.#isDead(client))) continue;
      await this.#remove(client);
      removed += 1;
    }
    return removed;
  }

  async #clients(): Promise<ReadonlySet<ClientId>> {
    const clients = new Set<ClientId>();
    for (const server of serversOf(this.#deps.connection)) await this.#clientsOn(server, clients);
    return clients;
  }

  async #clientsOn(server: ReturnType<typeof serversOf>[number], clients: Set<ClientId>): Promise<void> {
    const { archive } = this.#settings;
    const pattern = replyQueuePattern(archive);
    let cursor = '0';
    do {
      const [next, keys] = await server.scan(cursor, 'MATCH', pattern, 'COUNT', scanCount);
      for (const key of keys) {
        const client = clientOfReplyKey(archive, key);
        if (client !== undefined) clients.add(client);
      }
      cursor = next;
    } while (cursor !== '0' && !this.#stopped);
  }

  async #isDead(client: ClientId): Promise<boolean> {
    if ((await this.#deps.connection.exists(heartbeatKey(this.#settings.archive, client))) === 1) {
      this.#silentSinceMs.delete(client);
      return false;
    }
    const nowMs = this.#deps.clock.monotonicMs();
    const sinceMs = this.#silentSinceMs.get(client) ?? nowMs;
    this.#silentSinceMs.set(client, sinceMs);
    return nowMs - sinceMs >= this.#settings.silenceMaxMs;
  }

  async #remove(client: ClientId): Promise<void> {
    const queue = new Queue(replyQueueName(this.#settings.archive, client), {
      connection: this.#deps.connection,
      prefix: queuePrefix,
      skipMetasUpdate: true,
      skipVersionCheck: true,
    });
    queue.on('error', (error) => this.#deps.log.warn({ error }, 'janitor-queue-error'));
    try {
      await queue.obliterate({ force: true, count: removalCount });
      this.#silentSinceMs.delete(client);
      this.#deps.logger.info({ client }, 'reply-queue-removed');
    } finally {
      await queue.close();
    }
  }
}
