import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { parseArchiveName, topologyKey } from '../protocol/names.ts';
import {
  awaitReady,
  dropConnection,
  openConnection,
  type RedisConnection,
  type RedisSettings,
} from '../queue/connection.ts';
import { gatherWrites } from '../queue/gathered-writes.ts';
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
/** Between two looks at how Redis is set up: that can be changed while it runs. */
export const redisLookIntervalMs = 60_000;

/** The settings of all connections. */
export function redisSettings(config: Config): RedisSettings {
  const { passwordFile: _, startTimeoutMs: __, ...settings } = config.redis;
  return settings;
}

/** The address that is named when Redis is not there: the URL, or the first node of a cluster. */
export function shownAddress({ redis }: Pick<Config, 'redis'>): string {
  const [node = ''] = redis.clusterNodes.split(',');
  return node === '' ? redis.url : `redis://${node}`;
}

/**
 * The service's own connection to Redis, and what is known about that Redis: looked up anew each time the connection
 * comes back, since it may be another server then, and each minute, since it may be set up otherwise.
 */
export class RedisLink {
  readonly connection: RedisConnection;
  readonly #config: Config;
  readonly #deps: RedisLinkDeps;
  #warnings: readonly RedisWarning[] | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(config: Config, deps: RedisLinkDeps) {
    this.#config = config;
    this.#deps = deps;
    this.connection = this.open('service');
  }

  /** A further connection; its errors go to the log. The caller closes it. */
  open(name: string): RedisConnection {
    const connection = gatherWrites(openConnection(redisSettings(this.#config), name));
    connection.on('error', (error) => this.#deps.log.warn({ trouble: troubleOf(error), error }, 'redis-connection'));
    return connection;
  }

  /** What is wrong with this Redis; `undefined` until it was looked at. */
  get warnings(): readonly RedisWarning[] | undefined {
    return this.#warnings;
  }

  /** Waits for Redis for the first time; `changed` is called each later time that it comes back. */
  async start(changed: (facts: RedisFacts) => void): Promise<RedisFacts> {
    const { startTimeoutMs } = this.#config.redis;
    await awaitReady(this.connection, shownAddress(this.#config), startTimeoutMs, this.#deps.clock);
    const facts = await this.#look();
    const look = (): void => {
      this.#look().then(changed, (error: unknown) => this.#deps.log.warn({ error }, 'redis-check-failed'));
    };
    // A cluster stays ready while one of its nodes goes and comes.
    for (const event of ['ready', '+node']) this.connection.on(event, look);
    this.#schedule();
    return facts;
  }

  /** Whether Redis answers now, within a second. */
  async answers(): Promise<boolean> {
    if (this.connection.status !== 'ready') return false;
    // Not PING, which each node of a cluster answers that has lost its slots.
    const answered = this.connection.exists(topologyKey(parseArchiveName(this.#config.archive))).then(
      () => true,
      () => false,
    );
    return (await within(this.#deps.clock, pingTimeoutMs, answered)) ?? false;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    dropConnection(this.connection);
  }

  async #look(): Promise<RedisFacts> {
    const facts = await readRedisFacts(this.connection);
    this.#deps.logger.info({ version: facts.version, memoryBytesMax: facts.memoryBytesMax }, 'redis-connected');
    this.#judge(facts, []);
    return facts;
  }

  /** Says what is wrong that was not `known` to be. */
  #judge(facts: RedisFacts, known: readonly RedisWarning[]): void {
    const warnings = redisWarnings(facts);
    this.#warnings = warnings;
    const isKnown = (code: string): boolean => known.some((warning) => warning.code === code);
    for (const { code, message } of warnings)
      if (!isKnown(code)) this.#deps.logger.error({ code, reason: message }, 'redis-unsuitable');
    if (known.length > 0 && warnings.length === 0) this.#deps.logger.info({}, 'redis-suitable');
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = this.#deps.clock.after(redisLookIntervalMs, () => {
      void this.#lookAgain().finally(() => this.#schedule());
    });
  }

  /** One that is away is looked at when it comes back. */
  async #lookAgain(): Promise<void> {
    if (this.connection.status !== 'ready') return;
    const read = readRedisFacts(this.connection).catch((error: unknown) => {
      if (!this.#closed) this.#deps.log.warn({ error }, 'redis-check-failed');
      return undefined;
    });
    const facts = await within(this.#deps.clock, pingTimeoutMs, read);
    if (facts !== undefined) this.#judge(facts, this.#warnings ?? []);
  }
}
