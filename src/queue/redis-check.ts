import type { Redis } from 'ioredis';

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

const oldestVersion = [6, 2] as const;

export async function readRedisFacts(redis: Redis): Promise<RedisFacts> {
  return parseInfo(await redis.info());
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
  if (isOlder(facts.version)) {
    warnings.push({ code: 'old-version', message: `Redis ${facts.version} is older than ${oldestVersion.join('.')}` });
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

function isOlder(version: string): boolean {
  const [major = Number.NaN, minor = 0] = version.split('.').map(Number);
  return major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1]);
}
