import { type Clock, systemClock } from '../base/clock.ts';
import { type Logger, silentLogger } from '../base/logger.ts';
import { defaultLimits, type ProtocolLimits } from '../protocol/limits.ts';
import { type ArchiveName, parseArchiveName } from '../protocol/names.ts';
import { ClientError } from './client-error.ts';

/** Redis as ioredis takes it; the fields that most need, and any other of its options. */
export interface RedisAddress {
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  readonly tls?: object;
  readonly [option: string]: unknown;
}

/** A Redis Cluster: some of its nodes, from which the others are learnt, and what is the same for all. */
export interface RedisClusterAddress {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly username?: string;
  readonly password?: string;
  readonly tls?: object;
}

export interface ClientOptions {
  /** Name of the archive. */
  readonly archive: string;
  /** `redis://[user:password@]host:port[/db]`, `rediss://…` for TLS, ioredis options, or the nodes of a cluster. */
  readonly redis: string | RedisAddress | RedisClusterAddress;
  /** First part of the client's id, for people; a random part follows. Default: `client`. */
  readonly name?: string;
  /** The limits that the workers are configured with, where they are not the defaults. */
  readonly limits?: Partial<ProtocolLimits>;
  /** How long `connect` waits for Redis. Default: 10 seconds. */
  readonly connectTimeoutMs?: number;
  /** Deadline of a put that names none. Default: 60 seconds. */
  readonly putTimeoutMs?: number;
  /** Deadline of a lookup that names none. Default: 30 seconds. */
  readonly lookupTimeoutMs?: number;
  /** How long `close` waits for Redis. Default: 5 seconds. */
  readonly closeTimeoutMs?: number;
  /** Put jobs that may wait on a shard's queue before this client sends no more. Default: 5,000. */
  readonly backlogJobCountMax?: number;
  /** What a put does when they do: `wait` until its deadline (the default), or `refuse` at once. */
  readonly whenBacklogFull?: 'wait' | 'refuse';
  /** Calls that may be pending at once. Default: 10,000. */
  readonly callCountMax?: number;
}

/** What the surroundings give; the defaults are right outside tests. */
export interface ClientDependencies {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface ClientSettings {
  readonly archive: ArchiveName;
  readonly redis: string | RedisAddress | RedisClusterAddress;
  readonly name: string;
  readonly limits: ProtocolLimits;
  readonly connectTimeoutMs: number;
  readonly putTimeoutMs: number;
  readonly lookupTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly backlogJobCountMax: number;
  readonly whenBacklogFull: 'wait' | 'refuse';
  readonly callCountMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const timeoutMsMax = 86_400_000;
const countMax = 1_000_000;

/** The options with the defaults filled in. Errors: ClientError `invalid-options`, ProtocolError `invalid-name`. */
export function settle(options: ClientOptions, dependencies: ClientDependencies): ClientSettings {
  return {
    archive: parseArchiveName(options.archive),
    redis: options.redis,
    name: options.name ?? 'client',
    limits: { ...defaultLimits, ...options.limits },
    connectTimeoutMs: whole('connectTimeoutMs', options.connectTimeoutMs ?? 10_000, 1, timeoutMsMax),
    putTimeoutMs: whole('putTimeoutMs', options.putTimeoutMs ?? 60_000, 1, timeoutMsMax),
    lookupTimeoutMs: whole('lookupTimeoutMs', options.lookupTimeoutMs ?? 30_000, 1, timeoutMsMax),
    closeTimeoutMs: whole('closeTimeoutMs', options.closeTimeoutMs ?? 5000, 1, timeoutMsMax),
    backlogJobCountMax: whole('backlogJobCountMax', options.backlogJobCountMax ?? 5000, 1, countMax),
    whenBacklogFull: options.whenBacklogFull ?? 'wait',
    callCountMax: whole('callCountMax', options.callCountMax ?? 10_000, 1, countMax),
    clock: dependencies.clock ?? systemClock,
    logger: dependencies.logger ?? silentLogger,
  };
}

/** The value, if it is a whole number from `min` to `max`. */
export function whole(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ClientError('invalid-options', `${option} is a whole number from ${min} to ${max}, found ${value}`, {
    details: { option, min, max, found: value },
  });
}
