import type { Clock } from '../base/clock.ts';
import type { Client } from '../client/client.ts';
import type { ClientOptions } from '../client/settings.ts';
import type { Config } from '../service/config.ts';
import { archiveAddress } from './redis-address.ts';

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
    redis: archiveAddress(config),
    name: 'cli',
    closeTimeoutMs: 2000,
  };
  return Client.connect({ ...defaults, connectTimeoutMs: config.redis.startTimeoutMs, ...options }, { clock });
}
