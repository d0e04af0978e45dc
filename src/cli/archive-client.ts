import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { Client } from '../client/client.ts';
import type { ClientOptions, RedisAddress } from '../client/settings.ts';
import type { Config } from '../service/config.ts';

/** A client of the archive that the settings name. Errors: ClientError `connection`, ProtocolError `invalid-name`. */
export async function connectClient(
  config: Config,
  clock: Clock,
  options: Partial<ClientOptions> = {},
): Promise<Client> {
  // Loaded when it is used: the queue's libraries take longer to load than a help text to print.
  const { Client } = await import('../client/client.ts');
  const { archive, limits } = config;
  const defaults = {
    archive,
    limits,
    redis: redisAddress(config),
    name: 'cli',
    closeTimeoutMs: 2000,
  };
  return Client.connect({ ...defaults, connectTimeoutMs: config.redis.startTimeoutMs, ...options }, { clock });
}

/** The URL, or what it says together with what the other settings add to it. */
function redisAddress({ redis }: Config): string | RedisAddress {
  if (redis.username === '' && redis.password === '' && redis.tlsCaFile === '') return redis.url;
  const url = new URL(redis.url);
  const database = url.pathname.slice(1);
  return {
    host: url.hostname,
    port: Number(url.port || 6379),
    username: redis.username || decodeURIComponent(url.username),
    password: redis.password || decodeURIComponent(url.password),
    ...(database === '' ? {} : { db: Number(database) }),
    ...(url.protocol === 'rediss:' ? { tls: redis.tlsCaFile === '' ? {} : { ca: readFileSync(redis.tlsCaFile) } } : {}),
  };
}
