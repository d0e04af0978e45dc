/**
 * The Lua that runs inside the queue's Redis.
 *
 * Each script looks at one job, or at one page of ids, so none blocks Redis for long. What a job is and what it is tied to
 * follows BullMQ 6 (`removeJob`, `isJobSchedulerJob`, `moveToFinished`); what removal cleans is what BullMQ's own removal
 * of old jobs does, with one addition: the entry of a child that a finished parent still has as open.
 */

/**
 * `standing` says whether a job may leave: true and its score, or false and the reason to stay. `digest` covers every byte
 * that is archived: fields in the order of their names, each name and value with its length before it.
 */
const prelude = `
local call = redis.call

local function standing(jobKey, setKey, schedulersKey, id)
  local score = call('ZSCORE', setKey, id)
  if not score or call('EXISTS', jobKey) == 0 then return false, 'gone' end
  if call('EXISTS', jobKey .. ':lock') == 1 then return false, 'locked' end
  local ties = call('HMGET', jobKey, 'rjk', 'parentKey')
  if ties[1] then
    local nextRun = call('ZSCORE', schedulersKey, ties[1])
    if nextRun and id == 'repeat:' .. ties[1] .. ':' .. nextRun then return false, 'scheduled' end
  end
  local parentKey = ties[2]
  if parentKey and parentKey ~= '' and call('EXISTS', parentKey) == 1
    and call('HEXISTS', parentKey, 'finishedOn') == 0 then
    return false, 'flow'
  end
  if call('SCARD', jobKey .. ':dependencies') > 0 then return false, 'flow' end
  return true, score
end

local function measured(parts, list)
  parts[#parts + 1] = #list .. ';'
  for _, text in ipairs(list) do parts[#parts + 1] = #text .. ':' .. text end
end

local function contents(jobKey)
  return {
    call('HGETALL', jobKey),
    call('LRANGE', jobKey .. ':logs', 0, -1),
    call('HGETALL', jobKey .. ':processed'),
    call('HGETALL', jobKey .. ':failed'),
    call('ZRANGE', jobKey .. ':unsuccessful', 0, -1),
  }
end

local function sizeOf(found)
  local size = 0
  for _, list in ipairs(found) do
    for _, text in ipairs(list) do size = size + #text end
  end
  return size
end

local function ordered(pairsOfHash)
  local names, values, list = {}, {}, {}
  for i = 1, #pairsOfHash, 2 do
    names[#names + 1] = pairsOfHash[i]
    values[pairsOfHash[i]] = pairsOfHash[i + 1]
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = name
    list[#list + 1] = values[name]
  end
  return list
end

local function digest(found)
  local parts = {}
  measured(parts, ordered(found[1]))
  measured(parts, found[2])
  measured(parts, ordered(found[3]))
  measured(parts, ordered(found[4]))
  measured(parts, found[5])
  return redis.sha1hex(table.concat(parts))
end
`;

/**
 * KEYS: set. ARGV: least score, greatest score, ids at most, newest ones to keep.
 * Gives the oldest one that is to be kept no more and its score (none: nothing may leave), and ids with their scores.
 */
export const pageScript = `
local bound = redis.call('ZREVRANGE', KEYS[1], ARGV[4], ARGV[4], 'WITHSCORES')
if #bound == 0 then return { {}, {} } end
return { bound, redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3]) }
`;

/**
 * KEYS: job, set, schedulers. ARGV: id, bytes above which the job is only measured.
 * Gives `ok`, score, digest and contents; or the reason to stay; or `large` and the bytes: a first look at what is cheap to
 * measure spares Redis the copy of most jobs that are.
 */
export const readScript = `${prelude}
local free, word = standing(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not free then return { word } end
local size = 0
for _, field in ipairs({ 'data', 'returnvalue', 'stacktrace', 'progress', 'failedReason' }) do
  size = size + call('HSTRLEN', KEYS[1], field)
end
if size + 100 * call('LLEN', KEYS[1] .. ':logs') > tonumber(ARGV[2]) then return { 'large', tostring(size) } end
local found = contents(KEYS[1])
size = sizeOf(found)
if size > tonumber(ARGV[2]) then return { 'large', tostring(size) } end
return { 'ok', word, digest(found), found[1], found[2], found[3], found[4], found[5] }
`;

/**
 * KEYS: job, set, schedulers, lease. ARGV: id, score, digest, lease's token.
 * Removes the job if it is what was archived and may leave: `removed`, the reason to stay, or `lost` (the lease).
 */
export const removeScript = `${prelude}
local holder = call('GET', KEYS[4])
if holder and holder ~= ARGV[4] then return 'lost' end
local free, word = standing(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not free then return word end
if word ~= ARGV[2] or digest(contents(KEYS[1])) ~= ARGV[3] then return 'changed' end
local ties = call('HMGET', KEYS[1], 'parentKey', 'deid')
if ties[1] and ties[1] ~= '' then call('SREM', ties[1] .. ':dependencies', KEYS[1]) end
if ties[2] then
  local queuePrefix = string.sub(KEYS[1], 1, #KEYS[1] - #ARGV[1])
  local deduplicationKey = queuePrefix .. 'de:' .. ties[2]
  if call('GET', deduplicationKey) == ARGV[1] and call('PTTL', deduplicationKey) == -1 then
    call('DEL', deduplicationKey, queuePrefix .. 'dn:' .. ties[2])
  end
end
call('ZREM', KEYS[2], ARGV[1])
call('UNLINK', KEYS[1], KEYS[1] .. ':logs', KEYS[1] .. ':dependencies', KEYS[1] .. ':processed',
  KEYS[1] .. ':failed', KEYS[1] .. ':unsuccessful')
return 'removed'
`;

/**
 * KEYS: lease. ARGV: token, milliseconds. 1 if the lease is the token's for so long from now, 0 if it is another's. A Redis
 * without memory takes no lease, and the answer is 1 all the same: archiving is what gives it memory again.
 */
export const holdLeaseScript = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
local set = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if type(set) == 'table' and set.err and not string.find(set.err, 'OOM', 1, true) then return set end
return 1
`;

/** KEYS: lease. ARGV: token. */
export const dropLeaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;
