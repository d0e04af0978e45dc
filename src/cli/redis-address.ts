import { readFileSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import type { RedisAddress, RedisClusterAddress } from '../client/settings.ts';
import { tlsOptions } from '../queue/connection.ts';
import type { Config } from '../service/config.ts';
import { CliError } from './cli-error.ts';
import { UsageError } from './command.ts';

/** The Redis of BullMQ queues that are not the archive's own. */
export const queueRedisOption = {
  'queue-redis': {
    kind: 'text',
    placeholder: 'url',
    summary: 'Redis that the queue lives in, when it is not the archive’s; @file takes the URL out of a file',
  },
} as const;

/** The URL, or what it says together with what the other settings add to it. */
export function redisAddress({ redis }: Config): string | RedisAddress {
  const url = new URL(redis.url);
  const isPlain = url.protocol === 'redis:' || Object.keys(tlsOptions(redis)).length === 0;
  if (redis.username === '' && redis.password === '' && isPlain) return redis.url;
  const database = url.pathname.slice(1);
  return {
    host: url.hostname,
    port: Number(url.port || 6379),
    username: redis.username || decodeURIComponent(url.username),
    password: redis.password || decodeURIComponent(url.password),
    ...(database === '' ? {} : { db: Number(database) }),
    ...(url.protocol === 'rediss:' ? { tls: tlsOptions(redis) } : {}),
  };
}

/** The archive's Redis: one server, or the nodes of a cluster. */
export function archiveAddress(config: Config): string | RedisAddress | RedisClusterAddress {
  const { clusterNodes, url, username, password } = config.redis;
  if (clusterNodes === '') return redisAddress(config);
  const nodes = clusterNodes.split(',').map((node) => {
    const { hostname, port } = new URL(`redis://${node}`);
    return { host: hostname, port: Number(port || 6379) };
  });
  const given = new URL(url);
  const name = username || decodeURIComponent(given.username);
  const word = password || decodeURIComponent(given.password);
  return {
    nodes,
    ...(name === '' ? {} : { username: name }),
    ...(word === '' ? {} : { password: word }),
    ...(given.protocol === 'rediss:' ? { tls: tlsOptions(config.redis) } : {}),
  };
}

/** The Redis of the queue: what `--queue-redis` says, else the archive's. */
export function queueRedisAddress(option: string | undefined, config: Config): string | RedisAddress {
  if (option === undefined && config.redis.clusterNodes !== '') {
    throw new UsageError('invalid-option', '--queue-redis must be given: the archive’s Redis is a cluster');
  }
  if (option === undefined) return redisAddress(config);
  const url = option.startsWith('@') ? textOf(option.slice(1)) : option;
  if (URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol)) return url;
  // Not quoted: it may hold a password.
  throw new UsageError('invalid-option', '--queue-redis must be redis://host:port, rediss://host:port, or @file');
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CliError('unreadable-input', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
