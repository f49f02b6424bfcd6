-- What the ledger keeps in Redis, and what its steps share. The steps are in steps.lua, which is
-- appended to this file. One call: KEYS[1] is the prefix, ARGV[1] the step's name, the rest its
-- arguments; replies are JSON.
--
-- A script that fails half-way keeps what it wrote. So nothing here may fail after its first
-- write: arguments are checked in ledger.py, and Redis refuses a script that is out of memory at
-- its first write or not at all. (`#!lua flags=` would say so, but Redis 6.2 does not know it.)
--
-- A unit of work is named by its ref, <lane>/<kind>/<job>/<rev>/<what>:
--   <family>[.now]/chunk/<job>/<rev>/<page>.<n>     control[.now]/read/<job>/<rev>/0
--   control[.now]/page/<job>/<rev>/<page>           audio[.now]/items/<job>/<rev>/<item>@<page>,...
--   audio[.now]/package/<job>/<rev>/0
--
-- key                      type    holds
-- epoch                    string  changes when Redis was lost; unknown jobs are recovered then
-- control                  string  holder of the control process's lock
-- round                    string  time of the reconciler's last round, ms; negative: it spared
-- jobs                     zset    job -> created, ms
-- closed                   zset    job -> when it is forgotten, ms
-- job:<job>                hash    state rev attempt owner kind lane priority created, counters;
--                                  on:<device>: segments spoken there
-- todo:<job>:<lane>        list    `<page>.<n> <label>`: chunks not sent yet
-- done:<job>:<lane>        bits    page * 1000 + n: chunks finished
-- pages:<job> items:<job>  bits    pages planned; items assembled
-- parts:<job>              hash    <item>.<part> -> segments finished; <item> -> parts finished
-- spoken:<job>             bits    items whose every segment is finished
-- ready:<job>              list    <item>@<page>: items whose every segment is finished
-- runs:<job>               list    names of the records that the assemblers wrote
-- failures:<job>           list    {item,text,error,digest}
-- attempts:<job>           hash    digest -> deaths with this segment in flight
-- events:<job>             stream  bounded; one entry per step
-- lanes                    set     every lane that ever had work
-- ring:<lane>              list    owners with chunks to send, in turn
-- ring:<lane>:<owner>      list    jobs of an owner with chunks to send, in turn
-- credit:<lane>            hash    o:<owner>, j:<job> -> chunks still due in this turn
-- sent:<lane>              zset    ref -> when its message was sent, ms
-- leases                   zset    ref -> when its claim ends, ms
-- claim:<ref>              hash    holder, flight (digests), tries
-- slots:<family>           zset    worker/children (of cpu, too) -> when it is forgotten, s

local P = KEYS[1]
local LEASE_MS = 15000
-- A round of the reconciler this long after the last one means that Redis or it was away.
local AWAY_MS = LEASE_MS / 2
-- No claim ends, and no pause is over, later than so long from now (ledger.py: `release`).
local FAR_MS = 60000
-- A message waits this many times longer in a busy queue than in an idle one before it is lost.
local BUSY = 20
local EVENTS = 1000
local FAILURES = 10000
local OWNER_QUANTUM = 4
local WEIGHT = { normal = 4, bulk = 1 }
local KEEP_S = 7 * 86400
local TERMINAL = { completed = true, failed = true, cancelled = true, expired = true }
local call = redis.call

local function now()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function parse(ref)
  local lane, kind, job, rev, what = string.match(ref, '^([^/]+)/([^/]+)/([^/]+)/(%d+)/(.+)$')
  return { ref = ref, lane = lane, kind = kind, job = job, rev = rev, what = what }
end

local function key(...) return P .. table.concat({ ... }, ':') end
local function get(job, field) return call('HGET', key('job', job), field) end
local function count(job, field) return tonumber(get(job, field) or '0') end
local function lanes() return call('SMEMBERS', key('lanes')) end

-- Clients count milliseconds in floats, which HINCRBY refuses.
local function add(job, field, n)
  call('HINCRBY', key('job', job), field, math.floor((tonumber(n) or 0) + 0.5))
end

-- A unit is live when its job is known, in this revision and not at an end.
local function live(u)
  local state = get(u.job, 'state')
  return state and not TERMINAL[state] and get(u.job, 'rev') == u.rev
end

-- A unit is wanted when it is live and nobody has asked to stop.
local function wanted(u)
  return live(u) and get(u.job, 'state') ~= 'cancelling'
end

local function tell(job, type, data)
  call('XADD', key('events', job), 'MAXLEN', '~', EVENTS, '*',
    'type', type, 'data', cjson.encode(data))
end

local function set_state(job, state)
  if get(job, 'state') ~= state then
    call('HSET', key('job', job), 'state', state)
    tell(job, 'state', { state = state })
  end
end

local function bit(u)
  if u.kind == 'chunk' then
    local page, n = string.match(u.what, '^(%d+)%.(%d+)$')
    return key('done', u.job, u.lane), page * 1000 + n
  end
  return key('pages', u.job), tonumber(u.what)
end

local function finished(u)
  if u.kind == 'read' then return get(u.job, 'read') == '1' end
  if u.kind == 'chunk' or u.kind == 'page' then
    local k, offset = bit(u)
    return call('GETBIT', k, offset) == 1
  end
  if u.kind == 'items' then
    for item in string.gmatch(u.what, '(%d+)@') do
      if call('GETBIT', key('items', u.job), item) == 0 then return false end
    end
    return true
  end
  return false
end

local function mark_sent(ref, lane)
  call('SADD', key('lanes'), lane)
  call('ZADD', key('sent', lane), now(), ref)
end

local function forget(u)
  call('ZREM', key('sent', u.lane), u.ref)
  call('ZREM', key('leases'), u.ref)
  call('DEL', key('claim', u.ref))
end

local function enter_ring(job, lane)
  if get(job, 'state') == 'paused' or call('EXISTS', key('todo', job, lane)) == 0 then return end
  local owner = get(job, 'owner')
  local jobs = key('ring', lane, owner)
  if not call('LPOS', jobs, job) then call('RPUSH', jobs, job) end
  if not call('LPOS', key('ring', lane), owner) then call('RPUSH', key('ring', lane), owner) end
end

local function leave_ring(job, lane, owner)
  call('LREM', key('ring', lane, owner), 0, job)
  call('HDEL', key('credit', lane), 'j:' .. job)
  if call('EXISTS', key('ring', lane, owner)) == 0 then
    call('LREM', key('ring', lane), 0, owner)
    call('HDEL', key('credit', lane), 'o:' .. owner)
  end
end

-- One part of an item is finished when `total` of its segments are; the item when all parts are.
-- The pages that hold an item follow one another; `<item>@<first page>` tells where it is.
local function count_share(job, s, page)
  local parts = key('parts', job)
  local field = s.item .. '.' .. s.number
  if call('HINCRBY', parts, field, s.here) < s.total then return end
  call('HDEL', parts, field)
  if s.parts > 1 and call('HINCRBY', parts, s.item, 1) < s.parts then return end
  call('HDEL', parts, s.item)
  call('SETBIT', key('spoken', job), s.item, 1)
  call('RPUSH', key('ready', job), s.item .. '@' .. (page - s.number))
end

local function note_failures(job, failures)
  for _, failure in ipairs(failures) do
    if call('LLEN', key('failures', job)) < FAILURES then
      call('RPUSH', key('failures', job), cjson.encode(failure))
    end
  end
  add(job, 'failed', #failures)
end

local function spoken(job)
  return get(job, 'read') == '1'
    and count(job, 'pages_done') == count(job, 'pages_total')
    and count(job, 'chunks_done') == count(job, 'chunks_total')
end

-- Note that these are about to be sent, but for those that are under way.
local function hand_over(refs)
  local new = {}
  for _, ref in ipairs(refs) do
    local lane = parse(ref).lane
    if not call('ZSCORE', key('sent', lane), ref) then
      mark_sent(ref, lane)
      new[#new + 1] = ref
    end
  end
  return new
end

local function cut_run(job, size)
  local run = {}
  while #run < size do
    local item = call('LPOP', key('ready', job))
    if not item then break end
    run[#run + 1] = item
  end
  return table.concat(run, ',')
end

-- What follows when segments or items were finished: runs of items to assemble, or the package.
-- Runs are cut full, and whatever is left when nothing more will be spoken.
local function follow(job)
  if get(job, 'state') == 'cancelling' then return {} end
  local refs, ready, size = {}, key('ready', job), math.max(1, count(job, 'run_size'))
  local audio, here = 'audio' .. get(job, 'suffix'), '/' .. job .. '/' .. get(job, 'rev') .. '/'
  local least = spoken(job) and 1 or size
  while call('LLEN', ready) >= least do
    refs[#refs + 1] = audio .. '/items' .. here .. cut_run(job, size)
  end
  if spoken(job) and count(job, 'items_done') == count(job, 'items_total') then
    refs[#refs + 1] = audio .. '/package' .. here .. '0'
    set_state(job, 'finalizing')
  end
  return hand_over(refs)
end

-- Take back everything of a job that is waiting or under way, so that it fills no window.
local function drop_work(job)
  local owner = get(job, 'owner')
  for _, lane in ipairs(lanes()) do
    leave_ring(job, lane, owner)
    call('DEL', key('todo', job, lane))
    for _, ref in ipairs(call('ZRANGE', key('sent', lane), 0, -1)) do
      local u = parse(ref)
      if u.job == job then forget(u) end
    end
  end
end

-- What is counted for a job, `failures` apart: these outlive its end.
local function drop_counts(job)
  for _, lane in ipairs(lanes()) do call('DEL', key('done', job, lane)) end
  for _, name in ipairs({ 'pages', 'items', 'parts', 'spoken', 'ready', 'runs', 'attempts' }) do
    call('DEL', key(name, job))
  end
end

local function set_fields(job, fields)
  for name, value in pairs(cjson.decode(fields)) do call('HSET', key('job', job), name, value) end
end

-- Segments that were in flight when their worker died are suspects, until their job ends: whoever
-- claims a chunk is told of all of them, for a chunk may be given back between two deaths.
local function count_deaths(u)
  local suspects, flight = {}, call('HGET', key('claim', u.ref), 'flight')
  for _, digest in ipairs(cjson.decode(flight or '[]')) do
    call('HINCRBY', key('attempts', u.job), digest, 1)
  end
  if u.kind ~= 'chunk' then return nil end
  local rows = call('HGETALL', key('attempts', u.job))
  for i = 1, #rows, 2 do suspects[rows[i]] = tonumber(rows[i + 1]) end
  return next(suspects) and suspects or nil
end

-- A chunk of a paused job goes back to the head of what is to be sent. Its claim stays, and with
-- it who is a suspect and how often it was tried.
local function put_back(u)
  call('ZREM', key('leases'), u.ref)
  if call('ZREM', key('sent', u.lane), u.ref) == 1 then
    call('LPUSH', key('todo', u.job, u.lane), u.what .. ' ')
  end
end

-- A job that has something to speak, or nothing left to plan, is running.
local function begun(job)
  local state = get(job, 'state')
  if state == 'queued' or state == 'planning' then set_state(job, 'running') end
end

local function add_chunks(job, lane, page, labels)
  call('SADD', key('lanes'), lane)
  add(job, 'chunks_total', #labels)
  for n, label in ipairs(labels) do
    call('RPUSH', key('todo', job, lane), string.format('%d.%d %s', page, n - 1, label))
  end
  enter_ring(job, lane)
end

local function take_chunk(job, lane)
  local what, label = string.match(call('LPOP', key('todo', job, lane)), '^(%S+) (.*)$')
  local ref = lane .. '/chunk/' .. job .. '/' .. get(job, 'rev') .. '/' .. what
  mark_sent(ref, lane)
  return { ref, label }
end

local step = {}
