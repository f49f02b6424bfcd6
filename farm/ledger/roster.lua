-- Who works, and how much waits: what an operator looks at. Appended to ledger.lua, whose keys and
-- helpers it shares: one call, KEYS[1] the prefix, ARGV[1] the step's name, replies in JSON.
--
-- key                type  holds
-- workers            zset  worker -> when it is forgotten, ms
-- worker:<worker>    hash  about -> JSON of the worker; <child> -> `<ms> <JSON>` of a child
-- refused            list  JSON of messages that were no work of the farm, the last first; bounded

local REFUSED = 100
-- What was last told so long ago is true no more: four signs of life were missed.
local SILENT_MS = 20000

local function told(worker, field, value)
  call('HSET', key('worker', worker), field, value)
  call('PEXPIRE', key('worker', worker), SILENT_MS)
end

-- Return a worker's children that told something lately: {child = JSON}; the others are dropped.
local function children(worker)
  local found, rows = {}, call('HGETALL', key('worker', worker))
  for i = 1, #rows, 2 do
    local at, text = string.match(rows[i + 1], '^(%d+) (.*)$')
    local age = at and now() - tonumber(at)  -- below 0 after the clock was put back
    if age and age <= SILENT_MS and age >= 0 then
      found[rows[i]] = text
    elseif at then
      call('HDEL', key('worker', worker), rows[i])
    end
  end
  return found
end

function step.worker(worker, about)
  call('ZREMRANGEBYSCORE', key('workers'), '-inf', now())
  call('ZREMRANGEBYSCORE', key('workers'), now() + SILENT_MS + 1, '+inf')
  call('ZADD', key('workers'), now() + SILENT_MS, worker)
  told(worker, 'about', about)
  return true
end

function step.child(worker, child, text)
  told(worker, child, string.format('%d %s', now(), text))
  return true
end

function step.refuse(about)
  call('LPUSH', key('refused'), about)
  call('LTRIM', key('refused'), 0, REFUSED - 1)
  return true
end

function step.refused()
  return call('LRANGE', key('refused'), 0, -1)
end

-- {{about JSON, child JSON, ...}, ...}, by the worker's name.
function step.workers()
  local found = {}
  local names = call('ZRANGEBYSCORE', key('workers'), now(), '+inf')
  table.sort(names)
  for _, worker in ipairs(names) do
    local about = call('HGET', key('worker', worker), 'about')
    if about then
      local row, rest = { about }, children(worker)
      local order = {}
      for child in pairs(rest) do order[#order + 1] = child end
      table.sort(order)
      for _, child in ipairs(order) do row[#row + 1] = rest[child] end
      found[#found + 1] = row
    end
  end
  return found
end

-- What a lane holds: messages in its queue, units sent and of these claimed, chunks not sent yet
-- but for those of paused jobs.
function step.lane(lane, queue)
  local sent, claimed, todo = call('ZRANGE', key('sent', lane), 0, -1), 0, 0
  for _, ref in ipairs(sent) do
    if call('ZSCORE', key('leases'), ref) then claimed = claimed + 1 end
  end
  for _, owner in ipairs(call('LRANGE', key('ring', lane), 0, -1)) do
    for _, job in ipairs(call('LRANGE', key('ring', lane, owner), 0, -1)) do
      todo = todo + call('LLEN', key('todo', job, lane))
    end
  end
  return { queued = call('LLEN', queue), sent = #sent, claimed = claimed, todo = todo }
end

local reply = step[ARGV[1]](unpack(ARGV, 2))
return cjson.encode({ reply })
