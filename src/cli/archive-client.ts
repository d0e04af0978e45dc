import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { Client } from '../client/client.ts';
import type { ClientOptions, RedisAddress } from '../client/settings.ts';
import type { Config } from '../service/config.ts';

/** A client of the archive that the settings name. Errors: ClientError `connection`, ProtocolError `invalid-name`. */
export function connectClient(config: Config, clock: Clock, options: Partial<ClientOptions> = {}): Promise<Client> {
  const redis = redisAddress(config);
  const name = 'cli';
  const connectTimeoutMs = config.redis.startTimeoutMs;
  return Client.connect(
    { archive: config.archive, redis, name, connectTimeoutMs, limits: config.limits, ...options },
    { clock },
  );
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
