/**
 * The fields of a job that BullMQ keeps for itself, beside the data.
 *
 * Its scripts write them well. A producer that writes a job's hash by hand may not, and BullMQ trusts them: it parses
 * some before we see the job, and its scripts break off halfway at others, with the job in the active list or in none.
 * Such a job would be delivered for ever, or vanish. So what we get to see is checked before it is used, and what we do
 * not get to see is looked for after an error: broken fields get values that do no harm, and the job is failed. Some
 * break only the script that ends a job, when its work is done: then they lose what breaks it, and the job ends.
 */
import type { JobJson } from 'bullmq';
import { messageOf } from '../base/errors.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { RedisConnection } from './connection.ts';

/** The fields as the hash calls them, whether a text is as BullMQ writes it, and what replaces it if it is not. */
const rules: readonly {
  readonly field: string;
  readonly holds: (text: string) => boolean;
  /** Undefined: the field is removed. */
  readonly instead: string | undefined;
}[] = [
  { field: 'ats', holds: isCount, instead: '0' },
  { field: 'atm', holds: isCount, instead: '0' },
  { field: 'stc', holds: isCount, instead: '0' },
  { field: 'delay', holds: isCount, instead: '0' },
  { field: 'priority', holds: isCount, instead: '0' },
  { field: 'opts', holds: (text) => isObject(parsed(text)), instead: '{}' },
  { field: 'progress', holds: (text) => parsed(text) !== undefined, instead: '0' },
  { field: 'parent', holds: (text) => isParent(parsed(text)), instead: undefined },
  { field: 'parentKey', holds: isParentKey, instead: undefined },
];

/** Throws a ProtocolError `invalid-field` that names a field of the job which its owner cannot have meant. */
export function checkJobFields(json: JobJson): void {
  const { timestamp, attemptsStarted, attemptsMade, stalledCounter, delay, priority, parent, parentKey } = json;
  // A job's time is in its put id, its deadline and the doubt about its deliveries.
  if (!isWhole(timestamp)) throw broken('timestamp', 'not milliseconds since the Unix epoch');
  const counts = { ats: attemptsStarted, atm: attemptsMade, stc: stalledCounter, delay, priority };
  for (const [field, count] of Object.entries(counts)) if (!isWhole(count)) throw broken(field, 'not a whole number');
  if (parent !== undefined && !isParent(parent)) throw broken('parent', 'names no job');
  if (parentKey !== undefined && !isParentKey(parentKey)) throw broken('parentKey', 'names no job');
}

/**
 * Changes the hash of a job that is in the active list, and nothing of one that has left it meanwhile: it is finished,
 * and its hash, made again, would stay for ever. KEYS: active list, hash. ARGV: id, number of fields to remove, these,
 * then fields with values to set. With no number the hash is made anew.
 */
const changeScript = `
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
local first = 3
if ARGV[2] == '' then
  redis.call('DEL', KEYS[2])
else
  for index = 1, tonumber(ARGV[2]) do
    redis.call('HDEL', KEYS[2], ARGV[first])
    first = first + 1
  end
end
for index = first, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[index], ARGV[index + 1]) end
return 1`;

/** What stands where something else, or nothing, was in place of a job's hash. */
const emptyJob = { name: '', data: '{}', opts: '{}', timestamp: '0', delay: '0', priority: '0' };

interface MendedJob {
  /** `<prefix>:<queue>:` */
  readonly queueKey: string;
  readonly id: string;
  /** Has the job fail with its reason when it is delivered again. */
  readonly fails: boolean;
}

/** Gives the fields of an active job that would break BullMQ's scripts harmless values; resolves to their names. */
export async function mendJob(redis: RedisConnection, { queueKey, id, fails }: MendedJob): Promise<readonly string[]> {
  const key = `${queueKey}${id}`;
  const isHash = (await redis.type(key)) === 'hash';
  const texts = isHash ? await redis.hmget(key, ...rules.map(({ field }) => field)) : [];
  const found = rules.filter(({ holds }, index) => {
    const text = texts[index];
    return text !== null && text !== undefined && !holds(text);
  });
  const names = isHash ? found.map(({ field }) => field) : ['job'];
  if (names.length === 0) return names;
  const removed = found.flatMap(({ field, instead }) => (instead === undefined ? [field] : []));
  const replaced = found.flatMap(({ field, instead }) => (instead === undefined ? [] : [field, instead]));
  const changes = isHash ? [removed.length, ...removed, ...replaced] : ['', ...Object.entries(emptyJob).flat()];
  const failure = fails ? ['defa', `invalid-field: ${names.join(', ')}: not as BullMQ writes it`] : [];
  const isChanged = await redis.eval(changeScript, 2, `${queueKey}active`, key, id, ...changes, ...failure);
  return isChanged === 1 ? names : [];
}

/**
 * Mends the jobs of a queue that were fetched, and has those that were broken fail with their reason when they are
 * delivered again. `queueKey`: what a job's id is put behind. Resolves to how many they were.
 */
export async function mendFetched(redis: RedisConnection, queueKey: string): Promise<number> {
  let count = 0;
  for (const id of await redis.lrange(`${queueKey}active`, 0, -1)) {
    const fields = await mendJob(redis, { queueKey, id, fails: true });
    if (fields.length > 0) count += 1;
  }
  return count;
}

/**
 * Takes from a job what breaks the script that ends it, and puts it back among the active ones, of which that script may have
 * taken it before it broke off. Nothing is changed if it is gone, or somebody else's. KEYS: hash, the lists, the sets.
 */
const restoreScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local isActive = redis.call('LPOS', KEYS[2], ARGV[1])
if not isActive then
  for index = 3, 4 do if redis.call('LPOS', KEYS[index], ARGV[1]) then return 0 end end
  for index = 5, #KEYS do if redis.call('ZSCORE', KEYS[index], ARGV[1]) then return 0 end end
  redis.call('LPUSH', KEYS[2], ARGV[1])
end
redis.call('HDEL', KEYS[1], 'attemptsMade', 'parent', 'parentKey')
redis.call('HSET', KEYS[1], 'atm', '0')
return 1`;

const lists = ['active', 'wait', 'paused'];
const sets = ['prioritized', 'delayed', 'waiting-children', 'completed', 'failed'];

/**
 * After an error of the script that completes or fails a job: sees to it that the job is delivered once more, when its
 * lock is missed, and that it can end then. How often it was delivered stays known. Resolves to whether it changed it.
 */
export async function restoreJob(
  redis: RedisConnection,
  { queueKey, id }: Pick<MendedJob, 'queueKey' | 'id'>,
): Promise<boolean> {
  const keys = [id, ...lists, ...sets].map((name) => `${queueKey}${name}`);
  return (await redis.eval(restoreScript, keys.length, ...keys, id)) === 1;
}

/** Whether a script broke off in the middle, because of what it found. */
export function isBrokenScript(error: unknown): boolean {
  return /^(ERR|WRONGTYPE) .*user_script/s.test(messageOf(error));
}

function broken(field: string, reason: string): ProtocolError {
  return new ProtocolError('invalid-field', `${field}: ${reason}`, { details: { field } });
}

function isWhole(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isCount(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isParent(value: unknown): boolean {
  if (!isObject(value) || !('id' in value) || !('queueKey' in value)) return false;
  return typeof value.id === 'string' && typeof value.queueKey === 'string';
}

/** `<prefix>:<queue>:<id>`. */
function isParentKey(text: string): boolean {
  return /^.+:[^:]+$/s.test(text);
}
