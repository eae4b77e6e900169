/**
 * The one script that runs inside Redis: for many frames at once it knows their ids and counts their devices' limits
 * (GCRA, one number a bucket, as in `limits/gcra.ts`). Time is that of Redis, so that gateways' clocks don't matter;
 * every key lives as long as it means something.
 *
 * KEYS: for each entry its frame id, then its buckets. ARGV: lease and life of an id in ms, then for each entry
 * a count of buckets with (limit, least arrival time) each, or RECORD with the outcome of a frame that ended, or
 * RUNNING for one that runs longer than its lease. A limit is one text, \`period burst reason seconds\`: they are few,
 * and each argument costs both sides more than reading a text once.
 * Answer: the time in ms, then for each frame that asks '' (it may go), the outcome where its device has had enough,
 * or '=' and what is known of its id: 'running' (elsewhere) or an outcome.
 */

export const RECORD = -1;
export const RUNNING = -2;
/** What a bucket needs in ARGV. */
export const BUCKET_ARGS = 2;

/** What is stored under the id of a frame that has no outcome yet. */
export const IS_RUNNING = 'running';
/** Before what was known. */
export const KNOWN = '=';

export const SCRIPT = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease, kept = ARGV[1], ARGV[2]
local whole = function(n) return string.format('%.0f', n) end
local answers = { whole(now) }

local limits = {}
local function limitOf(text)
  if not limits[text] then
    local period, burst, reason, fixed = string.match(text, '(%S+) (%S+) (%S+) (%S+)')
    limits[text] = { period = tonumber(period), burst = tonumber(burst), reason = reason, fixed = tonumber(fixed) }
  end
  return limits[text]
end

local function take(k, a, n)
  local times, reason, wait = {}, nil, 0
  for i = 1, n do
    local b = a + (i - 1) * ${BUCKET_ARGS}
    local limit = limitOf(ARGV[b + 1])
    local before = math.max(tonumber(redis.call('GET', KEYS[k + i]) or 0), tonumber(ARGV[b + 2]), now)
    times[i] = before + limit.period
    local over = times[i] - limit.period * limit.burst - now
    if over >= 1 and (not reason or reason == limit.reason) then
      reason = limit.reason
      wait = limit.fixed > 0 and limit.fixed or math.max(wait, math.ceil(over / 1000))
    end
  end
  if reason then return 'later ' .. reason .. ' ' .. whole(wait) end
  for i = 1, n do redis.call('SET', KEYS[k + i], whole(times[i]), 'PX', whole(times[i] - now)) end
  return ''
end

local k, a = 1, 3
while k <= #KEYS do
  local id, n = KEYS[k], tonumber(ARGV[a])
  if n == ${RECORD} then
    redis.call('SET', id, ARGV[a + 1], 'PX', kept)
    k, a = k + 1, a + 2
  elseif n == ${RUNNING} then
    if redis.call('GET', id) == '${IS_RUNNING}' then redis.call('PEXPIRE', id, lease) end
    k, a = k + 1, a + 1
  else
    local known = redis.call('GET', id)
    local answer = known and '${KNOWN}' .. known or take(k, a, n)
    if answer == '' then redis.call('SET', id, '${IS_RUNNING}', 'PX', lease)
    elseif not known then redis.call('SET', id, answer, 'PX', kept) end
    answers[#answers + 1] = answer
    k, a = k + n + 1, a + 1 + n * ${BUCKET_ARGS}
  end
end
return answers
`;
