-- What an API key has used of what it may. Appended to ledger.lua, whose keys and helpers it shares:
-- one call, KEYS[1] the prefix, ARGV[1] the step's name, replies in JSON, nothing fails after its
-- first write. A key without a limit is not counted, and a Redis that was lost has forgotten.
--
-- key                  type    holds
-- bucket:<key>         string  when its tokens for requests are all back, ms; expires then
-- spent:<key>:<day>    string  characters accepted on a day since 1970 (UTC); expires after another
-- flight:<key>         zset    job -> when it was submitted, ms

-- A job that the ledger does not know is given so long to be opened before it counts no more.
local OPEN_MS = 600 * 1000
local DAY_S = 86400
local MINUTE_MS = 60000
-- What a minute's fractions may add up to in floats.
local SLACK_MS = 0.01

-- Take a token out of a bucket that fills with `limit` a minute and holds as many. What is kept is
-- when it will be full (the generic cell rate algorithm, ITU-T I.371: the same as counting tokens).
function step.request(name, limit)
  local bucket, at, each_ms = key('bucket', name), now(), MINUTE_MS / tonumber(limit)
  local lacks_ms = tonumber(call('GET', bucket) or '0') - at
  lacks_ms = math.min(MINUTE_MS, math.max(0, lacks_ms))
  local over_ms = lacks_ms + each_ms - MINUTE_MS
  local allowed = over_ms <= SLACK_MS
  if allowed then
    lacks_ms = lacks_ms + each_ms
    local full_ms = string.format('%.3f', at + lacks_ms)
    call('SET', bucket, full_ms, 'PX', string.format('%d', math.ceil(lacks_ms)))
  end
  return {
    allowed = allowed,
    remaining = math.max(0, math.floor((MINUTE_MS - lacks_ms + SLACK_MS) / each_ms)),
    reset_s = math.ceil(lacks_ms / 1000),
    retry_after_s = allowed and 0 or math.ceil(over_ms / 1000),
  }
end

-- Spend characters of today's, all of them or none.
function step.spend(name, characters, limit)
  characters, limit = tonumber(characters), tonumber(limit)
  local seconds = math.floor(now() / 1000)
  local day = math.floor(seconds / DAY_S)
  local spent = key('spent', name, string.format('%d', day))
  local before = tonumber(call('GET', spent) or '0')
  local allowed = before + characters <= limit
  if allowed then
    before = before + characters
    call('SET', spent, string.format('%d', before), 'EX', 2 * DAY_S)
  end
  local reset_s = DAY_S - seconds % DAY_S
  return {
    allowed = allowed,
    remaining = string.format('%d', math.max(0, limit - before)),
    reset_s = reset_s,
    retry_after_s = allowed and 0 or reset_s,
    day = day,
  }
end

-- Give back what was spent on a day, for work that was not accepted after all.
function step.refund(name, characters, day)
  local spent = key('spent', name, day)
  local before = tonumber(call('GET', spent) or '0')
  if before > 0 then
    local left = math.max(0, before - tonumber(characters))
    call('SET', spent, string.format('%d', left), 'KEEPTTL')
  end
  return true
end

-- Whether a job no longer counts: its end came after it was submitted, or nobody opened it since.
-- What was submitted in the future was so before the clock was put back.
local function over(job, submitted, at)
  local state = get(job, 'state')
  if state and not TERMINAL[state] then return false end
  local ended_ms = math.floor(tonumber(get(job, 'ended') or '0') * 1000 + 0.5)
  if state and submitted > at then return true end
  return ended_ms >= submitted or at - submitted > OPEN_MS
end

-- Count the jobs in flight after those whose end was missed have been dropped.
local function count_flight(flight, at)
  local rows = call('ZRANGE', flight, 0, -1, 'WITHSCORES')
  for i = 1, #rows, 2 do
    if over(rows[i], tonumber(rows[i + 1]), at) then call('ZREM', flight, rows[i]) end
  end
  return call('ZCARD', flight)
end

-- Count a job as in flight. They are looked at one by one only where there seem to be too many.
function step.enter(name, job, limit)
  limit = tonumber(limit)
  local flight, at = key('flight', name), now()
  local known = call('ZSCORE', flight, job)
  local others = call('ZCARD', flight) - (known and 1 or 0)
  if others >= limit then
    others = count_flight(flight, at) - (call('ZSCORE', flight, job) and 1 or 0)
  end
  local allowed = others < limit
  if allowed then
    call('ZADD', flight, string.format('%d', at), job)
    call('EXPIRE', flight, 4 * KEEP_S)
  end
  return { allowed = allowed, remaining = math.max(0, limit - others - (allowed and 1 or 0)) }
end

function step.leave(name, job)
  return call('ZREM', key('flight', name), job) == 1
end

local reply = step[ARGV[1]](unpack(ARGV, 2))
return cjson.encode({ reply })
