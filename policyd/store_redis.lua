-- Everything that postpool does in Redis: the books of capped keys, and who shares them.
--
-- The arithmetic is that of engine/book.c; tests/unit/test_redis_script holds one against the
-- other.  docs/PROTOCOLS.md says what stands in the keys.  Numbers are whole and below 2^53.
--
-- SPDX-License-Identifier: MIT
--
-- KEYS  1 "{PREFIX}:nodes"   2 "{PREFIX}:KEY", the book (ask, state, reset)
-- ARGV  1 op   2 node   3 life   4 run id of this Redis   5 node timeout   6 the node's idea of
--       the time, at the earliest, 0: none   7 the time, for tests; "": the server's
--       8 how many nodes there are, as far as the node knows, 0: it does not   9 as 6, at the latest
--       then, by op:
--   beat     10 the node's former life, 0: none   11 id of the node's journal
--            12 1: the process has just begun, and may take its own name over
--   ask      10 seq   11 unused   12 want   13 caps   14 reports
--            15 1: nothing is known of what was asked before in this life, save that seq is more
--            16 percent of each cap that is to be worked with
--            then window, limit, smooth for each cap; time, count, excess for each report
--   state    10 row   11 milliseconds that it matters
--   confirm  10 generation   then name, heard (0: of late), 1 for a node that is gone, of each
--   reset
--   forget   10 name
--   record   10 name   11 the version that is there, 0: none   12 1: put back what was lost,
--            if that version is above what is here   13 the value, "": there is to be none
--            KEYS[2] is that of all records
--   records  10 a version: those above it; likewise
--   bye
local op, me, life, run = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local timeout, known_nodes = tonumber(ARGV[5]), tonumber(ARGV[8])
local estimate, latest = tonumber(ARGV[6]), tonumber(ARGV[9])

local floor, max, min, huge = math.floor, math.max, math.min, math.huge

local BUCKETS = 512
local LATE = BUCKETS / 16
local BURST_PART, BURST_LEAST = 20, 100
local NEAR, AHEAD, SLACK, RETRY = 16, 2, 16, 64
local SLOTS = 4
local MONTH = 32 * 24 * 3600 * 1000 -- longer than any window
local MINUTE = 60 * 1000
local LEARN, LEARN_ALONE = 2000, 500
local GONE, UNKNOWN = 0, 1 -- lives that no process has: it said goodbye; it was only heard of
local STEP = 250 -- further ahead of what a node knows than a call takes: the clock was put forward
local LATE_CALL = 3000 -- more than a node waits for an answer; REDIS_CALL_LATE_MS
local SLEW = 2048 -- so much slower does time that was left out come back: buckets have room for that
local CLOCK_OFF = 10 -- so far may the clock be from that idea; a later one would forget uses

local function text(number)
  return string.format('%.0f', number)
end

-- ---------------------------------------------------------------- who is there

-- A node: life; heard; gen, the generation it has confirmed; id of its journal; count, the nodes
-- that it knew of; and when it came back from being away for long: was, heard before that; back,
-- when; first, its life then; lost, that count of a process that died meanwhile and cannot tell
-- what it did alone, else 0.  And joined, when it was first heard of; seen, when it last got the
-- list of all.
local FIELDS = {'life', 'heard', 'gen', 'id', 'count', 'was', 'back', 'first', 'lost', 'joined',
                'seen'}
local now, gen, learn, lost
local meta, nodes = {}, {}
local changed = {} -- fields of the meta hash to be written: name, value, name, value ...

local function load_meta()
  local flat = redis.call('HGETALL', KEYS[1])
  for i = 1, #flat, 2 do
    local name = string.match(flat[i], '^n:(.*)$')
    if name then
      local n, place = {}, 1
      for number in string.gmatch(flat[i + 1], '%d+') do
        n[FIELDS[place] or ''] = tonumber(number)
        place = place + 1
      end
      nodes[name] = n
    else
      meta[flat[i]] = flat[i + 1]
    end
  end
end

local function set(field, value)
  changed[#changed + 1] = field
  changed[#changed + 1] = value
end

local function set_node(name)
  local list = {}
  for i, field in ipairs(FIELDS) do
    list[i] = text(nodes[name][field])
  end
  set('n:' .. name, table.concat(list, ' '))
end

local function node_new(life_then, heard)
  return {life = life_then, heard = heard, gen = 0, id = 0, count = 0, was = 0, back = 0, first = 0,
          lost = 0, joined = now, seen = 0}
end

load_meta()

local stepped = 0 -- so far was the clock put forward, as is found now
local is_late = false -- it was sent long ago, and who sent it does not wait any more

-- Time goes on where it was, whatever the server's clock does meanwhile.  Put forward, it would
-- make windows pass that have not: what is beyond the latest that the caller can imagine is left
-- out, as far as it came since the last call.  If it was the server that stood still, a later
-- caller knows that this time did pass, and it comes back in a millisecond at a time: at once it
-- would make older what nodes counted meanwhile, by the time that they were told.
--
-- Another server, or one that has lost all, may lack the shift: until every node has come, whoever
-- knows an earlier time is right, because the rows tell that one.
local function tell_time()
  local t, shift, before = nil, tonumber(meta.shift or 0), tonumber(meta.clock or 0)
  local begins = not meta.gen or meta.run ~= run
  if ARGV[7] ~= '' then
    t = tonumber(ARGV[7])
  else
    local clock = redis.call('TIME')
    t = tonumber(clock[1]) * 1000 + floor(tonumber(clock[2]) / 1000)
  end
  -- A link that was cut brings old calls when it is mended.  Carried out they would say that the
  -- node is here, when that goes on alone.  While all is learnt anew, nobody gets a lease by them.
  if not begins and not meta.learn and latest > 0 and before > latest + LATE_CALL then
    is_late, now = true, before
    set('clock', text(now))
    return
  end
  if begins and estimate > 0 and math.abs(t + shift - estimate) > CLOCK_OFF then
    shift = estimate - t
  end
  if t + shift < before then
    shift = before - t
  end
  local doubt = begins and 0 or tonumber(meta.doubt or 0)
  local owed = begins and 0 or tonumber(meta.owed or 0)
  if not begins and latest > 0 and t + shift > latest + STEP then
    stepped = t + shift - (meta.learn and latest or max(latest, before))
    shift = shift - stepped
    doubt = meta.learn and 0 or stepped
  elseif doubt > 0 and estimate > t + shift + owed then
    local back = min(doubt, estimate - t - shift - owed)
    owed, doubt = owed + back, doubt - back
  end
  if owed > 0 and t + shift >= tonumber(meta.slewed or 0) + SLEW then
    shift, owed = shift + 1, owed - 1
    set('slewed', text(t + shift))
  end
  if text(doubt) ~= (meta.doubt or '0') then
    set('doubt', text(doubt))
  end
  if text(owed) ~= (meta.owed or '0') then
    set('owed', text(owed))
  end
  if text(shift) ~= (meta.shift or '0') then
    set('shift', text(shift))
  end
  now = t + shift
  set('clock', text(now))
end

tell_time()

-- Another server than the last one, or one that has lost everything, or by a step of its clock
-- what was to stay: before anybody gets a lease, all nodes put back what this one may not have.
gen, learn, lost = tonumber(meta.gen), tonumber(meta.learn), tonumber(meta.lost)
if not gen or meta.run ~= run or stepped >= MINUTE then
  if not gen or stepped >= MINUTE then -- books expired by the server's clock, a minute late
    lost = now
    set('lost', text(now))
  end
  gen, learn = max((gen or 0) + 1, now), now
  set('gen', text(gen))
  set('run', run)
  set('learn', text(now))
  for name, n in pairs(nodes) do
    if n.heard + 2 * timeout > now then
      n.heard = now -- it may have been heard where this server did not see it
      set_node(name)
    end
  end
end

local function is_alive(n)
  return n.life ~= GONE and n.heard + timeout > now
end

local function bucket_ms(window)
  return window > BUCKETS and floor(window / BUCKETS) or 1
end

local function bucket_end(window, bucket)
  return (bucket + 2) * bucket_ms(window) + window
end

-- Until when nobody gets a lease from a book whose longest window that is; 0: now.
local function blocked_until(longest)
  local known, last = 0, 0
  if not learn then
    return 0
  end
  for _, n in pairs(nodes) do
    known = known + 1
    if n.gen ~= gen then
      local t = n.heard + timeout
      if lost then
        t = bucket_end(longest, floor(t / bucket_ms(longest)))
      end
      last = max(last, t)
    end
  end
  last = max(last, learn + (known <= 1 and LEARN_ALONE or LEARN))
  return last > now and last or 0
end

if learn and blocked_until(MONTH) == 0 then
  learn, lost = nil, nil
  redis.call('HDEL', KEYS[1], 'learn', 'lost')
end

-- All that share the caps: those that are away go on with their share.
local function count_nodes()
  local count = 0
  for _, n in pairs(nodes) do
    count = count + (n.life ~= GONE and 1 or 0)
  end
  return count
end

local function save_meta()
  redis.call('HSET', KEYS[1], unpack(changed))
  redis.call('PEXPIRE', KEYS[1], MONTH)
end

local function answer(status, ...)
  save_meta()
  return {status, now, gen, count_nodes(), learn and 1 or 0, stepped, tonumber(meta.rec or 0), ...}
end

local function all_nodes()
  local list = {}
  for name, n in pairs(nodes) do
    list[#list + 1] = name
    list[#list + 1] = n.life
    list[#list + 1] = n.heard
    list[#list + 1] = n.gen == gen and 1 or 0
  end
  return list
end

local function answer_nodes(status)
  return answer(status, nodes[me] and nodes[me].gen == gen and 1 or 0, all_nodes())
end

local function forget_old()
  for name, n in pairs(nodes) do
    if name ~= me and n.heard + timeout + MONTH < now then
      nodes[name] = nil
      redis.call('HDEL', KEYS[1], 'n:' .. name)
    end
  end
end

-- It is here now; the count is the least that it may go by when it is alone.
local function note_heard(n)
  local count = count_nodes()
  n.heard = now
  n.count = known_nodes > 0 and min(known_nodes, count) or count
  set_node(me)
end

-- It was away, and may have used its share.
local function note_back(n, starts)
  local late = n.back > 0 and now - n.back < MONTH
  n.was = late and min(n.was, n.heard) or n.heard
  n.lost = starts and n.count or late and n.lost or 0
  n.back, n.first = now, life
end

local function beat()
  local former, id, starts = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12] == '1'
  local n = nodes[me]
  forget_old()
  if n and n.life ~= life and is_alive(n) and n.life ~= UNKNOWN and n.life ~= former and
      not (starts and n.id == id) then
    return answer_nodes('taken')
  end
  if not n then
    n = node_new(life, now)
    nodes[me] = n
  elseif n.life ~= life and n.life ~= GONE and not is_alive(n) then
    note_back(n, starts)
  end
  n.life, n.id, n.seen = life, id, now
  note_heard(n)
  return answer_nodes('ok')
end

-- Anything but a beat is for a node that is known, in that life.
local function not_known()
  local n = nodes[me]
  if not n or n.life ~= life then
    return 'hello'
  end
  note_heard(n)
  return n.gen ~= gen and 'restate' or nil
end

local function confirm()
  local status = not_known()
  if status == 'hello' or tonumber(ARGV[10]) ~= gen then
    return answer_nodes(status or 'restate')
  end
  local count = 0
  nodes[me].gen, nodes[me].seen = gen, now
  set_node(me)
  for i = 11, #ARGV, 3 do
    count = count + (ARGV[i + 2] == '1' and 0 or 1)
  end
  for i = 11, #ARGV, 3 do
    if learn and not nodes[ARGV[i]] then
      local heard = tonumber(ARGV[i + 1])
      heard = (heard == 0 or heard + 2 * timeout > learn) and learn or heard
      nodes[ARGV[i]] = node_new(ARGV[i + 2] == '1' and GONE or UNKNOWN, heard)
      nodes[ARGV[i]].count = count
      set_node(ARGV[i])
    end
  end
  return answer_nodes('ok')
end

-- If all were lost now, nobody would wait for it: it is too new.
local function is_unheard_of()
  for name, n in pairs(nodes) do
    if name ~= me and is_alive(n) and n.life ~= UNKNOWN and n.seen < nodes[me].joined then
      return true
    end
  end
  return false
end

local function forget()
  local n = nodes[ARGV[10]]
  if not n then
    return answer_nodes('unknown')
  end
  if is_alive(n) then
    return answer_nodes('alive')
  end
  nodes[ARGV[10]] = nil
  redis.call('HDEL', KEYS[1], 'n:' .. ARGV[10])
  return answer_nodes('ok')
end

local function bye()
  local n = nodes[me]
  if n and n.life == life then
    n.life, n.heard = GONE, now
    set_node(me)
  end
  return answer_nodes('ok')
end

-- ---------------------------------------------------------------- the book

-- A row is an array: life, seq, held, from, last count, last again, last window, then for each
-- slot its window and its uses.  Uses: sum, then bucket, count; each further bucket as the
-- distance to the one before.
local LIFE, SEQ, HELD, FROM = 1, 2, 3, 4
local LAST_COUNT, LAST_AGAIN, LAST_WINDOW, FIRST_SLOT = 5, 6, 7, 8

local rows, dirty = {}, {} -- by node
local caps = {}
local percent = 100 -- of each that is worked with

local function slot_window(row, slot)
  return row[FIRST_SLOT + 2 * slot]
end

local function slot_uses(row, slot)
  return row[FIRST_SLOT + 2 * slot + 1]
end

local function row_new()
  return {0, 0, 0, 0, 0, 0, 0, 0, {0}, 0, {0}, 0, {0}, 0, {0}}
end

local function unroll(uses)
  local buckets, counts, bucket = {}, {}, 0
  for i = 2, #uses, 2 do
    bucket = bucket + uses[i]
    buckets[#buckets + 1] = bucket
    counts[#counts + 1] = uses[i + 1]
  end
  return buckets, counts
end

-- Those that count at time, rolled up again.
local function roll(window, buckets, counts, time)
  local uses, before, sum = {0}, 0, 0
  for i = 1, #buckets do
    if bucket_end(window, buckets[i]) > time then
      uses[#uses + 1] = buckets[i] - before
      uses[#uses + 1] = counts[i]
      before = buckets[i]
      sum = sum + counts[i]
    end
  end
  uses[1] = sum
  return uses
end

local function row_trim(row)
  for slot = 0, SLOTS - 1 do
    local window, uses = slot_window(row, slot), slot_uses(row, slot)
    if #uses > 1 and bucket_end(window, uses[2]) <= now then
      local buckets, counts = unroll(uses)
      row[FIRST_SLOT + 2 * slot + 1] = roll(window, buckets, counts, now)
    end
  end
end

-- The row's slot for a window; one that was not there before starts empty.
local function row_slot(row, window)
  local unused
  for slot = 0, SLOTS - 1 do
    local wanted = false
    if slot_window(row, slot) == window then
      return slot
    end
    for _, cap in ipairs(caps) do
      wanted = wanted or cap.window == slot_window(row, slot)
    end
    if not wanted then
      unused = slot
    end
  end
  row[FIRST_SLOT + 2 * unused] = window
  row[FIRST_SLOT + 2 * unused + 1] = {0}
  return unused
end

-- Out of the bucket it was counted in, which may be a little later than when it was.  What counts
-- no more has nothing to give: others would be let in for it.
local function take_out(window, buckets, counts, bucket, count)
  if bucket_end(window, bucket) <= now then
    return
  end
  for at = 1, #buckets do
    if buckets[at] >= bucket and buckets[at] <= bucket + LATE then
      local out = min(count, counts[at])
      counts[at] = counts[at] - out
      count = count - out
    end
  end
end

local function add_one(buckets, counts, bucket, count)
  local at = #buckets + 1
  while at > 1 and buckets[at - 1] >= bucket do
    at = at - 1
  end
  if buckets[at] == bucket then
    counts[at] = counts[at] + count
  else
    table.insert(buckets, at, bucket)
    table.insert(counts, at, count)
  end
end

-- reports: {at, count} each
local function row_add(row, reports)
  if #reports == 0 then
    return
  end
  for _, cap in ipairs(caps) do
    local slot = row_slot(row, cap.window)
    local buckets, counts = unroll(slot_uses(row, slot))
    for _, one in ipairs(reports) do
      local bucket = floor(one[1] / bucket_ms(cap.window))
      if one[2] < 0 then
        take_out(cap.window, buckets, counts, bucket, -one[2])
      else
        add_one(buckets, counts, bucket, one[2])
      end
    end
    row[FIRST_SLOT + 2 * slot + 1] = roll(cap.window, buckets, counts, -huge)
  end
end

local function row_lapse(row, at)
  if row[HELD] > 0 then
    row_add(row, {{max(row[FROM], at), row[HELD]}})
  end
  row[HELD], row[FROM] = 0, 0
end

local function row_is_empty(row)
  for slot = 0, SLOTS - 1 do
    if slot_uses(row, slot)[1] > 0 then
      return false
    end
  end
  return row[HELD] == 0
end

local pace = {} -- {window, microseconds, percent} by place of the cap
local pace_dirty = false

local function load_book()
  local flat = redis.call('HGETALL', KEYS[2])
  for i = 1, #flat, 2 do
    local name = string.match(flat[i], '^r:(.*)$')
    if name then
      rows[name] = cmsgpack.unpack(flat[i + 1])
    elseif flat[i] == 'pace' then
      local list = cmsgpack.unpack(flat[i + 1])
      for j = 1, #list, 3 do
        pace[#pace + 1] = {list[j], list[j + 1], list[j + 2]}
      end
    end
  end
end

-- What nodes held that are gone is used.
local function lapse_others()
  for name, row in pairs(rows) do
    local n = nodes[name]
    local unconfirmed = learn and n and n.gen ~= gen
    if name ~= me and not unconfirmed then
      local gone = not n or not is_alive(n)
      if row[HELD] > 0 and (gone or n.life ~= row[LIFE]) then
        local same = n and n.life == row[LIFE]
        row_lapse(row, same and n.heard + timeout or now)
        dirty[name] = true
      end
      if gone then
        row_trim(row)
        if row_is_empty(row) then
          redis.call('HDEL', KEYS[2], 'r:' .. name)
          rows[name], dirty[name] = nil, nil
        end
      end
    end
  end
end

local function keep_for(ms)
  if redis.call('PTTL', KEYS[2]) < ms then
    redis.call('PEXPIRE', KEYS[2], text(ms))
  end
end

local function save_book(longest)
  local fields = {}
  for name in pairs(dirty) do
    fields[#fields + 1] = 'r:' .. name
    fields[#fields + 1] = cmsgpack.pack(rows[name])
  end
  if pace_dirty then
    local list = {}
    for _, one in ipairs(pace) do
      list[#list + 1] = one[1]
      list[#list + 1] = one[2]
      list[#list + 1] = one[3]
    end
    fields[#fields + 1] = 'pace'
    fields[#fields + 1] = cmsgpack.pack(list)
  end
  if #fields > 0 then
    redis.call('HSET', KEYS[2], unpack(fields))
  end
  keep_for(2 * longest + timeout + MINUTE)
end

-- Where the uses of a cap begin that count now, in each row, and their sum.
local function look_at(cap)
  cap.fronts, cap.used = {}, 0
  for _, row in pairs(rows) do
    for slot = 0, SLOTS - 1 do
      if slot_window(row, slot) == cap.window then
        local uses, i = slot_uses(row, slot), 2
        local bucket, sum = uses[2], uses[1]
        while uses[i] and bucket_end(cap.window, bucket) <= now do
          sum = sum - uses[i + 1]
          i = i + 2
          bucket = bucket + (uses[i] or 0)
        end
        cap.used = cap.used + sum
        if uses[i] then
          cap.fronts[#cap.fronts + 1] = {uses = uses, i = i, bucket = bucket}
        end
      end
    end
  end
end

local function freed_at(cap, too_many)
  while true do
    local oldest, count = huge, 0
    for _, front in ipairs(cap.fronts) do
      if front.bucket < oldest then
        oldest = front.bucket
      end
    end
    if oldest == huge then
      return huge
    end
    for _, front in ipairs(cap.fronts) do
      if front.bucket == oldest then
        count = count + front.uses[front.i + 1]
        front.i = front.i + 2
        front.bucket = front.uses[front.i] and front.bucket + front.uses[front.i] or huge
      end
    end
    if count >= too_many then
      return bucket_end(cap.window, oldest)
    end
    too_many = too_many - count
  end
end

-- Rounded up; in pieces, because 2^53 is soon reached.
local function pace_us(cap, grants)
  local us, limit = cap.window * 1000, cap.limit
  local whole, rest = floor(us / limit), us % limit
  local high, low = floor(grants / 32768), grants % 32768
  local upper = floor(rest * high / limit)
  local left = rest * high - upper * limit
  return whole * grants + upper * 32768 + floor((left * 32768 + rest * low + limit - 1) / limit)
end

local function burst(cap)
  return max(floor(cap.limit / BURST_PART), min(cap.limit, BURST_LEAST))
end

-- Grants that were given ahead of their time are so many, at whatever pace.
local function pace_of(i)
  for j = #pace + 1, i do
    pace[j] = {0, 0, percent}
  end
  local p = pace[i]
  local ahead = p[2] - now * 1000
  if p[1] ~= caps[i].window then
    pace[i] = {caps[i].window, 0, percent}
    pace_dirty = true
  elseif p[3] ~= percent then
    if ahead > 0 then
      p[2] = p[2] + floor((ahead * p[3] + percent - 1) / percent) - ahead
    end
    p[3], pace_dirty = percent, true
  end
  return pace[i]
end

local function share(cap, count)
  return count > 0 and floor(cap.whole / count) or 0
end

-- What is kept back for others, which go on alone while they are away.  Who has just come back
-- has not told yet, until it asks for this very book, what it did.
local function kept_back(cap, longest)
  local sum = 0
  for name, n in pairs(nodes) do
    local row = rows[name]
    if name ~= me and n.life ~= GONE then
      if not is_alive(n) then
        sum = sum + share(cap, n.count)
      elseif n.back - n.was > longest and (not row or row[LIFE] < n.first) and
          bucket_end(longest, floor(n.back / bucket_ms(longest))) > now then
        sum = sum + share(cap, n.count)
      end
    end
  end
  return sum
end

-- Grants that count under a cap, with count more, beyond what may; no more than 0: they fit.
local function beyond(cap, held, count)
  local sum = cap.used + held + count
  return max(sum - cap.limit, sum + cap.kept - cap.whole)
end

local function fits_at(i, held, count)
  local cap, at = caps[i], now
  local over = beyond(cap, held, count)
  if over > 0 then
    at = freed_at(cap, over)
  end
  if cap.smooth and at < huge then
    local us = pace_of(i)[2] + pace_us(cap, count) - pace_us(cap, burst(cap))
    if us > at * 1000 then
      at = floor((us + 999) / 1000)
    end
  end
  return at
end

local function fit_now(held, most)
  for i, cap in ipairs(caps) do
    most = min(most, max(-beyond(cap, held, 0), 0))
    while most > 0 and cap.smooth and fits_at(i, held, most) > now do
      most = most > 16 and most - floor(most / 16) or most - 1
    end
  end
  return most
end

local function give(row, count, from)
  for i, cap in ipairs(caps) do
    local p = pace_of(i)
    p[2] = max(p[2], from * 1000) + pace_us(cap, count)
  end
  pace_dirty = true
  row[HELD] = row[HELD] + count
  row[FROM] = max(row[FROM], from)
  return count, from, 0
end

-- count, from, again, window
local function lease(row, want, longest)
  local held, at, tickets, window, which = 0, now, now, caps[1].window, 0
  for _, other in pairs(rows) do
    held = held + other[HELD]
    if other[HELD] > 0 and other[FROM] > tickets then
      tickets = other[FROM]
    end
  end
  for i, cap in ipairs(caps) do
    cap.kept = kept_back(cap, longest)
    local fits = fits_at(i, held, want)
    if fits > at then
      at, window, which = fits, cap.window, i - 1
    end
  end
  at = max(at, tickets)
  if at > now and (at == huge or at - now > floor(window / NEAR)) and tickets == now then
    local count = fit_now(held, want)
    if count > 0 then
      local c, f, a = give(row, count, now)
      return c, f, a, which
    end
  end
  if at == huge then
    return 0, 0, now + floor(window / RETRY) + 1, which
  elseif at - now > floor(window / AHEAD) + floor(window / SLACK) then
    return 0, 0, at - floor(window / AHEAD), which
  end
  local c, f, a = give(row, want, at)
  return c, f, a, which
end

-- Nobody will ask before again, and who does then gets no grant that begins before this.
local function room_at(again, longest)
  local held, at = 0, max(again, blocked_until(longest))
  for _, other in pairs(rows) do
    held = held + other[HELD]
    if other[HELD] > 0 then
      at = max(at, other[FROM])
    end
  end
  for i, cap in ipairs(caps) do
    look_at(cap)
    cap.kept = kept_back(cap, longest)
    at = max(at, fits_at(i, held, 1))
  end
  return at < huge and at or again
end

-- Grants that were not used: smooth caps go on as if they had not been given.
local function unpace(count)
  for i, cap in ipairs(caps) do
    local p = pace_of(i)
    p[2] = p[2] - pace_us(cap, count)
  end
  pace_dirty = true
end

local function take_reports(row, reports, unused)
  row_add(row, reports)
  for _, one in ipairs(reports) do
    if one[2] > 0 and not one[3] then
      row[HELD] = row[HELD] - min(one[2], row[HELD])
    elseif one[2] < 0 then
      unpace(-one[2])
    end
  end
  unused = min(unused, row[HELD])
  row[HELD] = row[HELD] - unused
  if unused > 0 then
    unpace(unused)
  end
  if row[HELD] == 0 then
    row[FROM] = 0
  end
end

local function read_ask()
  local ask = {seq = tonumber(ARGV[10]), unused = tonumber(ARGV[11]), want = tonumber(ARGV[12]),
               first = ARGV[15] == '1', reports = {}, longest = 0}
  local i = 17
  percent = tonumber(ARGV[16])
  for _ = 1, tonumber(ARGV[13]) do
    local cap = {window = tonumber(ARGV[i]), whole = tonumber(ARGV[i + 1]), smooth = ARGV[i + 2] == '1'}
    cap.limit = max(floor(cap.whole * percent / 100), 1)
    caps[#caps + 1] = cap
    ask.longest = max(ask.longest, cap.window)
    i = i + 3
  end
  for _ = 1, tonumber(ARGV[14]) do
    ask.reports[#ask.reports + 1] = {tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2] == '1'}
    i = i + 3
  end
  return ask
end

local function answer_ask(ask, row)
  local held, counted, again, room = 0, {}, row[LAST_AGAIN], 0
  for _, other in pairs(rows) do
    held = held + other[HELD]
  end
  if again > 0 then
    room = room_at(again, ask.longest)
  end
  for i, cap in ipairs(caps) do
    if not cap.fronts then
      look_at(cap)
    end
    counted[i] = cap.used + held
  end
  dirty[me] = true
  save_book(ask.longest)
  return answer('ok', row[LAST_COUNT], ask.from, again, room, row[LAST_WINDOW],
                cmsgpack.pack(row), counted)
end

-- The process before may have used its share, and cannot tell.
local function use_lost_share(ask, row, life_there)
  local n = nodes[me]
  if n.lost == 0 or life_there >= n.first or n.back - n.was <= ask.longest then
    return
  end
  for _, cap in ipairs(caps) do
    local slot = row_slot(row, cap.window)
    local buckets, counts = unroll(slot_uses(row, slot))
    add_one(buckets, counts, floor(now / bucket_ms(cap.window)), share(cap, n.lost))
    row[FIRST_SLOT + 2 * slot + 1] = roll(cap.window, buckets, counts, -huge)
  end
end

local function carry_out()
  local status = not_known()
  if status then
    return answer(status)
  end
  local ask = read_ask()
  load_book()
  lapse_others()
  local row = rows[me]
  local newcomer = not row or row[LIFE] ~= life
  if newcomer and ask.seq ~= 1 and not ask.first then
    save_book(ask.longest)
    return answer('stale')
  end
  row = row or row_new()
  rows[me] = row
  if newcomer or (ask.first and ask.seq > row[SEQ]) then
    row_lapse(row, now)
    if newcomer then
      use_lost_share(ask, row, row[LIFE])
    end
    row[LIFE], row[SEQ] = life, ask.seq - 1
  end
  if ask.seq == row[SEQ] then
    ask.from = row[FROM]
    return answer_ask(ask, row)
  end
  if ask.seq ~= row[SEQ] + 1 then
    save_book(ask.longest)
    return answer('stale')
  end
  local count, from, again, window = 0, 0, 0, 0
  row_trim(row)
  take_reports(row, ask.reports, ask.unused)
  for _, cap in ipairs(caps) do
    look_at(cap)
  end
  if ask.want > 0 then
    local blocked = blocked_until(ask.longest)
    if blocked > 0 then
      again = min(max(blocked, now + 50), now + 1000)
    elseif is_unheard_of() then
      again = now + 200
    else
      count, from, again, window = lease(row, ask.want, ask.longest)
    end
  end
  row[SEQ] = ask.seq
  row[LAST_COUNT], row[LAST_AGAIN], row[LAST_WINDOW] = count, again, window
  ask.from = from
  return answer_ask(ask, row)
end

-- A node puts its own row back, if it is newer than the one here.  Lives of a node ascend.
local function state()
  local status = not_known()
  if status == 'hello' then
    return answer(status)
  end
  local row, there = cmsgpack.unpack(ARGV[10]), redis.call('HGET', KEYS[2], 'r:' .. me)
  there = there and cmsgpack.unpack(there)
  if not there or there[LIFE] < row[LIFE] or (there[LIFE] == row[LIFE] and there[SEQ] < row[SEQ]) then
    redis.call('HSET', KEYS[2], 'r:' .. me, ARGV[10])
  end
  keep_for(tonumber(ARGV[11]))
  return answer('ok')
end

local function reset()
  local status = not_known()
  if status then
    return answer(status)
  end
  load_book()
  for name, row in pairs(rows) do
    for slot = 0, SLOTS - 1 do
      row[FIRST_SLOT + 2 * slot + 1] = {0}
    end
    local n = nodes[name]
    if not n or not is_alive(n) or n.life ~= row[LIFE] then
      row[HELD], row[FROM] = 0, 0
    end
    dirty[name] = true
  end
  pace, pace_dirty = {}, true
  if next(rows) then
    save_book(0)
  end
  return answer('ok', rows[me] and cmsgpack.pack(rows[me]) or '')
end

-- ------------------------------------------------------------- records

-- Fields: "v:NAME" is the version, a blank, and the value; without a value it is one that was
-- removed.  "last" is the highest version that was given; those that were removed up to "low" are
-- forgotten.  meta.rec is "last", too, and goes with every answer, so that who sees another one
-- than before looks.
local RECORDS_MAX, GRAVES_MAX = 20000, 1000 -- STORE_RECORDS_MAX

local function read_record(text)
  local version, value = string.match(text, '^(%d+) (.*)$')
  return tonumber(version), value
end

-- A new version, above any that anybody knows.
local function write_record(name, above, value)
  local version = max(tonumber(redis.call('HGET', KEYS[2], 'last') or 0), tonumber(meta.rec or 0), above) + 1
  redis.call('HSET', KEYS[2], 'v:' .. name, text(version) .. ' ' .. value, 'last', text(version))
  redis.call('PEXPIRE', KEYS[2], MONTH)
  meta.rec = text(version)
  set('rec', meta.rec)
  return version
end

-- Forget those that were removed longest ago.
local function bury(flat, last)
  local graves = {}
  for i = 1, #flat, 2 do
    local version, value = read_record(flat[i + 1])
    if version and value == '' then
      graves[#graves + 1] = {flat[i], version}
    end
  end
  if #graves <= GRAVES_MAX then
    return
  end
  table.sort(graves, function(a, b) return a[2] < b[2] end)
  for i = 1, #graves - floor(GRAVES_MAX / 2) do
    redis.call('HDEL', KEYS[2], graves[i][1])
    last = graves[i][2]
  end
  redis.call('HSET', KEYS[2], 'low', text(last))
end

local function record()
  local name, wanted, restores, value = ARGV[10], tonumber(ARGV[11]), ARGV[12] == '1', ARGV[13]
  local there = redis.call('HGET', KEYS[2], 'v:' .. name)
  local version, here, full = 0, '', false
  if not_known() == 'hello' then
    return answer('hello')
  end
  if there then
    version, here = read_record(there)
  end
  if restores then
    if wanted > version then
      version, here = write_record(name, wanted, value), value
    end
    return answer('ok', 0, here ~= '' and version or 0, here, 0)
  end
  version = here ~= '' and version or 0
  if here == value then -- a call that is repeated
    return answer('ok', 1, version, here, 0)
  end
  full = not there and redis.call('HLEN', KEYS[2]) >= RECORDS_MAX + GRAVES_MAX
  if wanted ~= version or full then
    return answer('ok', 0, version, here, full and 1 or 0)
  end
  version = write_record(name, wanted, value)
  return answer('ok', 1, value ~= '' and version or 0, value, 0)
end

local function records()
  local since = tonumber(ARGV[10])
  if not_known() == 'hello' then
    return answer('hello')
  end
  local flat = redis.call('HGETALL', KEYS[2])
  local last, low, list = 0, 0, {}
  for i = 1, #flat, 2 do
    if flat[i] == 'last' then
      last = tonumber(flat[i + 1])
    elseif flat[i] == 'low' then
      low = tonumber(flat[i + 1])
    end
  end
  local all = since < low or since == 0
  for i = 1, #flat, 2 do
    local name = string.match(flat[i], '^v:(.*)$')
    if name then
      local version, value = read_record(flat[i + 1])
      if all and value ~= '' or not all and version > since then
        list[#list + 1] = name
        list[#list + 1] = version
        list[#list + 1] = value
      end
    end
  end
  bury(flat, last)
  redis.call('PEXPIRE', KEYS[2], MONTH)
  last = max(last, tonumber(meta.rec or 0))
  if text(last) ~= (meta.rec or '0') then
    meta.rec = text(last)
    set('rec', meta.rec)
  end
  return answer('ok', last, all and 1 or 0, list)
end

local ops = {beat = beat, ask = carry_out, state = state, confirm = confirm, reset = reset,
             forget = forget, bye = bye, record = record, records = records}
if is_late then
  return answer('late')
end
return ops[op]()
