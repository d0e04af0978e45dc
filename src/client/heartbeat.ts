import type { Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { clientHeartbeatMs, clientTtlMs } from '../protocol/lifetimes.ts';
import { type ClientId, heartbeatKey } from '../protocol/names.ts';
import type { RedisConnection } from './connection.ts';
import type { ClientSettings } from './settings.ts';

/**
 * Keeps the key alive that tells workers that this client takes replies.
 *
 * States: beating → stopped → removed. One beat at a time; during an outage one waits, and the first one after it goes out with
 * the connection. Without a beat for `clientTtlMs`, replies to this client are dropped.
 */
export class Heartbeat {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #settings: ClientSettings;
  #timer: Timer | undefined;
  #beating = false;
  #stopped = false;

  constructor(redis: RedisConnection, client: ClientId, settings: ClientSettings) {
    this.#redis = redis;
    this.#key = heartbeatKey(settings.archive, client);
    this.#settings = settings;
  }

  /** Resolves when the first beat is in Redis. */
  async start(): Promise<void> {
    await this.#set();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Takes the key away, after `stop`. During an outage it waits for Redis. */
  async remove(): Promise<void> {
    await this.#redis.del(this.#key);
  }

  /** One beat out of turn: after a reconnect the key may be gone. */
  async beat(): Promise<void> {
    if (this.#beating || this.#stopped) return;
    this.#beating = true;
    try {
      await this.#set();
    } catch (error) {
      this.#settings.logger.warn({ error: messageOf(error) }, 'heartbeat failed');
    } finally {
      this.#beating = false;
    }
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#settings.clock.after(clientHeartbeatMs, () => {
      void this.beat();
      this.#schedule();
    });
  }

  async #set(): Promise<void> {
    await this.#redis.set(this.#key, String(this.#settings.clock.wallMs()), 'PX', clientTtlMs);
  }
}
