-- The steps of the ledger, and the call of one; ledger.lua comes before this.

-- Make a job known. A newer revision replaces an older one; the same one stays as it is, or
-- starts from its beginning if that is asked for and it is not at its end.
function step.open(job, rev, fields, again)
  local known, before = get(job, 'rev'), get(job, 'state')
  local same = known and tonumber(known) == tonumber(rev)
  local over = TERMINAL[before] or before == 'cancelling'
  if known and tonumber(known) > tonumber(rev) then return { new = false } end
  if same and (over or again ~= '1') then return { new = false } end
  if known then drop_work(job) end
  drop_counts(job)
  call('DEL', key('job', job), key('failures', job))
  set_fields(job, fields)
  local state = same and before == 'paused' and before or 'queued'
  call('HSET', key('job', job), 'rev', rev, 'state', state, 'begun', now() / 1000)
  call('PERSIST', key('events', job))
  call('ZREM', key('closed'), job)
  call('ZADD', key('jobs'), math.floor(tonumber(get(job, 'created')) * 1000), job)
  tell(job, 'state', { state = state, rev = tonumber(rev) })
  return { new = true }
end

-- Note that a message is about to be sent.
function step.send(ref)
  local u = parse(ref)
  if not wanted(u) or finished(u) then return false end
  mark_sent(ref, u.lane)
  return true
end

function step.claim(ref, holder)
  local u, claim = parse(ref), key('claim', ref)
  local over = not wanted(u) and 'gone' or finished(u) and 'done'
  if over then
    forget(u)
    return { verdict = over }
  end
  local until_ms = tonumber(call('ZSCORE', key('leases'), ref) or '0')
  local current = call('HGET', claim, 'holder')
  if until_ms > now() and current and current ~= '' and current ~= holder then
    return { verdict = 'held' }
  end
  if u.kind == 'chunk' and get(u.job, 'state') == 'paused' then
    put_back(u)
    return { verdict = 'gone' }
  end
  local suspects = count_deaths(u)
  call('HSET', claim, 'holder', holder, 'flight', '[]')
  call('EXPIRE', claim, KEEP_S)
  call('ZADD', key('leases'), now() + LEASE_MS, ref)
  call('SADD', key('lanes'), u.lane)
  call('ZADD', key('sent', u.lane), 'NX', now(), ref)
  if get(u.job, 'state') == 'queued' then set_state(u.job, 'planning') end
  return { verdict = 'go', attempt = get(u.job, 'attempt'), suspects = suspects }
end

local function holds(ref, holder)
  return call('HGET', key('claim', ref), 'holder') == holder
end

-- Prolong a claim; false when it is no longer the holder's, or the job has been stopped.
function step.renew(ref, holder)
  local u = parse(ref)
  if not holds(ref, holder) or not wanted(u) then return false end
  call('ZADD', key('leases'), now() + LEASE_MS, ref)
  return true
end

-- Record what is being spoken, before it is.
function step.flight(ref, holder, digests)
  if holds(ref, holder) then call('HSET', key('claim', ref), 'flight', digests) end
  return true
end

-- Give a unit back because the world is not ready; it is sent again after a pause. What was in
-- flight stays so where the holder died of it.
function step.release(ref, holder, pause_ms, max_ms, reason, died)
  local u, claim = parse(ref), key('claim', ref)
  if not holds(ref, holder) or not wanted(u) then return 0 end
  local tries = call('HINCRBY', claim, 'tries', 1)
  local wait = math.min(tonumber(max_ms), tonumber(pause_ms) * 2 ^ (tries - 1))
  call('HSET', claim, 'holder', '')
  if died ~= '1' then call('HSET', claim, 'flight', '[]') end
  call('ZADD', key('leases'), now() + wait, ref)
  tell(u.job, 'waiting', { reason = reason, tries = tries, unit = ref })
  return tries
end

function step.read_done(ref, pages, items, fields)
  local u = parse(ref)
  forget(u)
  if not live(u) or get(u.job, 'read') == '1' then return {} end
  set_fields(u.job, fields)
  call('HSET', key('job', u.job), 'read', 1, 'pages_total', pages, 'items_total', items)
  return follow(u.job)
end

-- Take in a planned page: {lanes: {lane: [label, ...]}, segments, characters, shares, failures}.
function step.planned(ref, page)
  local u, p = parse(ref), cjson.decode(page)
  forget(u)
  if not wanted(u) then return {} end
  local k, offset = bit(u)
  if call('SETBIT', k, offset, 1) == 1 then return {} end
  add(u.job, 'pages_done', 1)
  add(u.job, 'segments_total', p.segments)
  add(u.job, 'characters', p.characters)
  for lane, labels in pairs(p.lanes) do add_chunks(u.job, lane, offset, labels) end
  for _, share in ipairs(p.shares) do count_share(u.job, share, offset) end
  note_failures(u.job, p.failures)
  begun(u.job)
  return follow(u.job)
end

-- Fill a lane's window by deficit round robin over owners, then over an owner's jobs
-- (Shreedhar and Varghese, 1995; chunks are sized to cost the same, so the unit is a chunk).
function step.take(lane, window)
  local taken, ring, credit = {}, key('ring', lane), key('credit', lane)
  local room = tonumber(window) - call('ZCARD', key('sent', lane))
  while room > 0 do
    local owner = call('LINDEX', ring, 0)
    if not owner then break end
    local jobs = key('ring', lane, owner)
    local job = call('LINDEX', jobs, 0)
    if not job then
      call('LREM', ring, 0, owner)
      call('HDEL', credit, 'o:' .. owner)
    elseif call('EXISTS', key('todo', job, lane)) == 0 or not get(job, 'rev') then
      leave_ring(job, lane, owner)
    else
      local due_owner = tonumber(call('HGET', credit, 'o:' .. owner) or '0')
      if due_owner < 1 then due_owner = due_owner + OWNER_QUANTUM end
      local due_job = tonumber(call('HGET', credit, 'j:' .. job) or '0')
      if due_job < 1 then due_job = due_job + (WEIGHT[get(job, 'priority')] or 1) end
      taken[#taken + 1] = take_chunk(job, lane)
      room, due_owner, due_job = room - 1, due_owner - 1, due_job - 1
      call('HSET', credit, 'o:' .. owner, due_owner, 'j:' .. job, due_job)
      if call('EXISTS', key('todo', job, lane)) == 0 then
        leave_ring(job, lane, owner)
      elseif due_job < 1 then
        call('LMOVE', jobs, jobs, 'LEFT', 'RIGHT')
      end
      if due_owner < 1 and call('EXISTS', jobs) == 1 then
        call('LMOVE', ring, ring, 'LEFT', 'RIGHT')
      end
    end
  end
  return taken
end

-- Count a chunk, once: {shares, failures, segments, hits, misses, audio_ms, compute_ms, device}.
function step.finish(ref, result)
  local u, r = parse(ref), cjson.decode(result)
  forget(u)
  if not live(u) then return {} end
  local k, offset = bit(u)
  if call('SETBIT', k, offset, 1) == 1 then return {} end
  add(u.job, 'chunks_done', 1)
  for _, name in ipairs({ 'segments', 'hits', 'misses', 'audio_ms', 'compute_ms' }) do
    add(u.job, name, r[name])
  end
  if r.device and r.misses > 0 then add(u.job, 'on:' .. r.device, r.misses) end
  for _, share in ipairs(r.shares) do count_share(u.job, share, math.floor(offset / 1000)) end
  note_failures(u.job, r.failures)
  tell(u.job, 'chunk', { segments = count(u.job, 'segments'), audio_ms = count(u.job, 'audio_ms') })
  return follow(u.job)
end

-- Count assembled items, once each, and the failures of those. `name` is the record that holds what
-- was made of them.
function step.assembled(ref, name, failures)
  local u, done, lost = parse(ref), {}, {}
  forget(u)
  if not live(u) or finished(u) then return {} end
  for item in string.gmatch(u.what, '(%d+)@') do
    if call('SETBIT', key('items', u.job), item, 1) == 0 then
      add(u.job, 'items_done', 1)
      done[tonumber(item)] = true
    end
  end
  for _, failure in ipairs(cjson.decode(failures)) do
    if done[failure.item] then lost[#lost + 1] = failure end
  end
  note_failures(u.job, lost)
  call('RPUSH', key('runs', u.job), name)
  tell(u.job, 'items', { done = count(u.job, 'items_done'), items = u.what })
  return follow(u.job)
end

-- Reach a terminal state, once. Returns the state that stands.
function step.close(job, rev, state, fields)
  local current = get(job, 'state')
  if not current or get(job, 'rev') ~= rev then return false end
  if TERMINAL[current] then return current end
  set_fields(job, fields)
  call('HSET', key('job', job), 'ended', now() / 1000)
  drop_work(job)
  drop_counts(job)
  set_state(job, state)
  for _, name in ipairs({ 'job', 'events', 'failures' }) do
    call('EXPIRE', key(name, job), KEEP_S)
  end
  call('ZADD', key('closed'), now() + KEEP_S * 1000, job)
  return state
end

function step.cancel(job)
  local state = get(job, 'state')
  if not state or TERMINAL[state] then return state or false end
  drop_work(job)
  set_state(job, 'cancelling')
  return 'cancelling'
end

function step.pause(job)
  local state, owner = get(job, 'state'), get(job, 'owner')
  if state ~= 'queued' and state ~= 'planning' and state ~= 'running' then return state or false end
  for _, lane in ipairs(lanes()) do leave_ring(job, lane, owner) end
  set_state(job, 'paused')
  return 'paused'
end

function step.resume(job)
  local state = get(job, 'state')
  if state ~= 'paused' then return state or false end
  set_state(job, count(job, 'pages_done') > 0 and 'running' or 'planning')
  for _, lane in ipairs(lanes()) do enter_ring(job, lane) end
  return get(job, 'state')
end

function step.remove(job)
  call('ZREM', key('jobs'), job)
  call('ZREM', key('closed'), job)
  if not get(job, 'state') then return false end
  drop_work(job)
  drop_counts(job)
  call('DEL', key('job', job), key('failures', job), key('events', job))
  return true
end

-- Leases could not be renewed while Redis was away, and an outage is no death: after one, nobody
-- is a suspect, and whoever is alive has time to renew. Never twice in a row.
local function spare_claims(at)
  local last = tonumber(call('GET', key('round')) or at)
  local away = last > 0 and at - last > AWAY_MS
  call('SET', key('round'), string.format('%d', away and -at or at))
  if not away then return end
  for _, ref in ipairs(call('ZRANGEBYSCORE', key('leases'), '-inf', at + AWAY_MS)) do
    local claim = key('claim', ref)
    if call('EXISTS', claim) == 1 then call('HSET', claim, 'flight', '[]') end
    call('ZADD', key('leases'), at + AWAY_MS, ref)
  end
end

-- A clock that was put back would have claims and messages of its future wait until then.
local function bring_back(at)
  for _, ref in ipairs(call('ZRANGEBYSCORE', key('leases'), at + FAR_MS + 1, '+inf')) do
    call('ZADD', key('leases'), at + LEASE_MS, ref)
  end
  for _, lane in ipairs(lanes()) do
    for _, ref in ipairs(call('ZRANGEBYSCORE', key('sent', lane), '(' .. at, '+inf')) do
      call('ZADD', key('sent', lane), at, ref)
    end
  end
end

local function forget_jobs(at)
  for _, job in ipairs(call('ZRANGEBYSCORE', key('closed'), '-inf', at)) do
    step.remove(job)
  end
end

-- Refs to send again: claims that ran out, and messages that nobody claimed for `lost_ms` in one
-- of the `idle` lanes (their queue is empty), or for much longer in another.
function step.overdue(idle, lost_ms)
  local refs, at, wait = {}, now(), {}
  local function again(ref)
    local u = parse(ref)
    if wanted(u) and not finished(u) then
      mark_sent(ref, u.lane)
      refs[#refs + 1] = ref
    else
      forget(u)
    end
  end
  spare_claims(at)
  bring_back(at)
  forget_jobs(at)
  for _, ref in ipairs(call('ZRANGEBYSCORE', key('leases'), '-inf', at)) do
    call('ZREM', key('leases'), ref)
    again(ref)
  end
  for _, lane in ipairs(cjson.decode(idle)) do wait[lane] = lost_ms end
  for _, lane in ipairs(lanes()) do
    local before = at - (wait[lane] or BUSY * lost_ms)
    for _, ref in ipairs(call('ZRANGEBYSCORE', key('sent', lane), '-inf', before)) do
      if not call('ZSCORE', key('leases'), ref) then again(ref) end
    end
  end
  return refs
end

-- What a job should be doing next but nobody is: the reconciler's way over a lost hand-over.
function step.follow(job)
  local state = get(job, 'state')
  if not state or TERMINAL[state] or state == 'cancelling' then return {} end
  if get(job, 'read') ~= '1' then
    local control, here = 'control' .. get(job, 'suffix'), job .. '/' .. get(job, 'rev')
    return hand_over({ control .. '/read/' .. here .. '/0' })
  end
  return follow(job)
end

-- Take or keep the control process's lock.
function step.lock(holder, seconds)
  local current, left = call('GET', key('control')), call('PTTL', key('control'))
  -- One that would last longer than any does is from before the clock was put back.
  if current and current ~= holder and left <= seconds * 1000 then return false end
  call('SET', key('control'), holder, 'EX', seconds)
  return true
end

local reply = step[ARGV[1]](unpack(ARGV, 2))
return cjson.encode({ reply })
