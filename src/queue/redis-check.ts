import { type RedisConnection, serversOf } from './connection.ts';

/** What this Redis is, from its INFO. */
export interface RedisFacts {
  readonly version: string;
  /** Changes at each restart and at a failover. */
  readonly runId: string;
  /** 0: no limit. */
  readonly memoryBytesMax: number;
  readonly memoryBytesUsed: number;
  readonly evictionPolicy: string;
  readonly appendOnly: boolean;
}

/** Something about this Redis that puts queued jobs at risk. Archived records are never at risk. */
export interface RedisWarning {
  readonly code: 'old-version' | 'may-evict' | 'no-append-only-file';
  readonly message: string;
}

const oldestVersion = '6.2';

/** Of a cluster: the least of what its masters are, and all of their runs. */
export async function readRedisFacts(redis: RedisConnection): Promise<RedisFacts> {
  const all = await Promise.all(serversOf(redis).map(async (server) => parseInfo(await server.info())));
  const [first] = all;
  if (first === undefined || all.length === 1) return first ?? parseInfo('');
  return {
    version: all.map(({ version }) => version).reduce((least, version) => (isOlder(version, least) ? version : least)),
    runId: all
      .map(({ runId }) => runId)
      .sort()
      .join(','),
    memoryBytesMax: all.reduce((sum, { memoryBytesMax }) => sum + memoryBytesMax, 0),
    memoryBytesUsed: all.reduce((sum, { memoryBytesUsed }) => sum + memoryBytesUsed, 0),
    evictionPolicy: all.find(({ evictionPolicy }) => evictionPolicy !== 'noeviction')?.evictionPolicy ?? 'noeviction',
    appendOnly: all.every(({ appendOnly }) => appendOnly),
  };
}

export function parseInfo(info: string): RedisFacts {
  const fields = new Map<string, string>();
  for (const line of info.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return {
    version: fields.get('redis_version') ?? 'unknown',
    runId: fields.get('run_id') ?? '',
    memoryBytesMax: Number(fields.get('maxmemory') ?? 0),
    memoryBytesUsed: Number(fields.get('used_memory') ?? 0),
    evictionPolicy: fields.get('maxmemory_policy') ?? 'unknown',
    appendOnly: fields.get('aof_enabled') === '1',
  };
}

/** What to tell the operator; an empty list for a Redis as it should be. */
export function redisWarnings(facts: RedisFacts): readonly RedisWarning[] {
  const warnings: RedisWarning[] = [];
  if (isOlder(facts.version, oldestVersion)) {
    warnings.push({ code: 'old-version', message: `Redis ${facts.version} is older than ${oldestVersion}` });
  }
  if (facts.evictionPolicy !== 'noeviction') {
    const message = `Redis may evict queued jobs: maxmemory-policy is ${facts.evictionPolicy}, it must be noeviction`;
    warnings.push({ code: 'may-evict', message });
  }
  if (!facts.appendOnly) {
    const message = 'Redis keeps no append-only file: queued jobs are lost when it restarts (set appendonly yes)';
    warnings.push({ code: 'no-append-only-file', message });
  }
  return warnings;
}

function isOlder(version: string, other: string): boolean {
  const [major = Number.NaN, minor = 0] = version.split('.').map(Number);
  const [otherMajor = Number.NaN, otherMinor = 0] = other.split('.').map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
