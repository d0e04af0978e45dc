import type { Redis } from 'ioredis';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { awaitReady, dropConnection, openConnection, type RedisSettings } from '../queue/connection.ts';
import { type RedisFacts, type RedisWarning, readRedisFacts, redisWarnings } from '../queue/redis-check.ts';
import { troubleOf } from '../queue/redis-trouble.ts';
import type { ThrottledLog } from '../queue/throttled-log.ts';
import { within } from '../queue/within.ts';
import type { Config } from './config-schema.ts';

export interface RedisLinkDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ThrottledLog;
}

const pingTimeoutMs = 1000;

/** The settings of all connections. */
export function redisSettings(config: Config): RedisSettings {
  const { url, username, password, tlsCaFile } = config.redis;
  return { url, username, password, tlsCaFile };
}

/**
 * The service's own connection to Redis, and what is known about that Redis: looked up anew each time the connection
 * comes back, since it may be another server then.
 */
export class RedisLink {
  readonly connection: Redis;
  readonly #config: Config;
  readonly #deps: RedisLinkDeps;
  #warnings: readonly RedisWarning[] | undefined;

  constructor(config: Config, deps: RedisLinkDeps) {
    this.#config = config;
    this.#deps = deps;
    this.connection = this.open('service');
  }

  /** A further connection; its errors go to the log. The caller closes it. */
  open(name: string): Redis {
    const connection = openConnection(redisSettings(this.#config), name);
    connection.on('error', (error) => this.#deps.log.warn({ trouble: troubleOf(error), error }, 'redis-connection'));
    return connection;
  }

  /** What is wrong with this Redis; `undefined` until it was looked at. */
  get warnings(): readonly RedisWarning[] | undefined {
    return this.#warnings;
  }

  /** Waits for Redis for the first time; `changed` is called each later time that it comes back. */
  async start(changed: (facts: RedisFacts) => void): Promise<RedisFacts> {
    const { url, startTimeoutMs } = this.#config.redis;
    await awaitReady(this.connection, url, startTimeoutMs, this.#deps.clock);
    const facts = await this.#look();
    this.connection.on('ready', () => {
      this.#look().then(changed, (error: unknown) => this.#deps.log.warn({ error }, 'redis-check-failed'));
    });
    return facts;
  }

  /** Whether Redis answers now, within a second. */
  async answers(): Promise<boolean> {
    if (this.connection.status !== 'ready') return false;
    const answered = this.connection.ping().then(
      () => true,
      () => false,
    );
    return (await within(this.#deps.clock, pingTimeoutMs, answered)) ?? false;
  }

  close(): void {
    dropConnection(this.connection);
  }

  async #look(): Promise<RedisFacts> {
    const facts = await readRedisFacts(this.connection);
    const warnings = redisWarnings(facts);
    this.#warnings = warnings;
    this.#deps.logger.info({ version: facts.version, memoryBytesMax: facts.memoryBytesMax }, 'redis-connected');
    for (const { code, message } of warnings) this.#deps.logger.error({ code, reason: message }, 'redis-unsuitable');
    return facts;
  }
}
