"""The Lua scripts of the signal store: each reads or changes one partition at one moment."""

from __future__ import annotations

from typing import Final

# KEYS: fence, values, commits.
# ARGV 1, 2: expected and new fence. 3: the record of the commit for followers, empty if the signal is not followed.
# 4: the commit's offset. 5: commits up to this offset are removed. 6: commits up to this rank, from the end, are removed.
# 7: the number of values to write. Then the key and value of each, then the keys to remove.
# Returns false, or the stored fence if it was not the expected one.
# Each command takes hundreds of values, because a command costs a record in the append-only file. Lua's stack
# allows no more.
# All or nothing: Redis undoes nothing of a script that fails. So whatever can fail, by a foreign type, a full memory or a
# replica, fails at the first write. A foreign type in place of the commits is removed, because they can be made anew.
COMMIT: Final = """
local actual = redis.call('GET', KEYS[1]) or ''
if actual ~= ARGV[1] then return actual end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' is a ' .. kind) end
if ARGV[3] ~= '' then
  kind = redis.call('TYPE', KEYS[3]).ok
  if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[3]) end
end
local last = 7 + 2 * tonumber(ARGV[7])
for i = 8, last, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 999, last)))
end
for i = last + 1, #ARGV, 1000 do
  redis.call('HDEL', KEYS[2], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[5])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, ARGV[6])
end
redis.call('SET', KEYS[1], ARGV[2])
return false
"""

# KEYS: fence, values, commits, fence aside, values aside. ARGV: expected and new fence.
# A fence at -1 has no values to set aside.
RESET: Final = """
local actual = redis.call('GET', KEYS[1]) or ''
if actual ~= ARGV[1] then return actual end
if actual ~= '' and string.sub(actual, 1, 3) ~= '-1@' and redis.call('EXISTS', KEYS[4]) == 0 then
  if redis.call('TYPE', KEYS[2]).ok == 'hash' then redis.call('RENAME', KEYS[2], KEYS[5]) end
  redis.call('SET', KEYS[4], actual)
end
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('SET', KEYS[1], ARGV[2])
return false
"""

# KEYS as in RESET. ARGV: expected fence.
RESTORE: Final = """
local actual = redis.call('GET', KEYS[1]) or ''
if actual ~= ARGV[1] then return actual end
local aside = redis.call('GET', KEYS[4])
if not aside then return false end
redis.call('UNLINK', KEYS[2], KEYS[3])
if redis.call('EXISTS', KEYS[5]) == 1 then redis.call('RENAME', KEYS[5], KEYS[2]) end
redis.call('SET', KEYS[1], aside)
redis.call('DEL', KEYS[4])
return false
"""

# KEYS: fence, values, commits and loaded values of each signal. ARGV 1: not empty if a fence may have moved on.
# Then the expected and the new fence of each signal. Returns false, or the number of a signal and its stored fence.
REPLACE: Final = """
for i = 0, #KEYS / 4 - 1 do
  local actual, expected, new = redis.call('GET', KEYS[4 * i + 1]) or '', ARGV[2 * i + 2], ARGV[2 * i + 3]
  local offset, log = string.match(actual, '^(%-?%d+)@(.*)$')
  local new_offset, new_log = string.match(new, '^(%-?%d+)@(.*)$')
  local reached = ARGV[1] ~= '' and log == new_log and tonumber(offset) >= tonumber(new_offset)
  if actual ~= expected and not reached then return {i, actual} end
end
for i = 0, #KEYS / 4 - 1 do
  local fence, values, loaded = KEYS[4 * i + 1], KEYS[4 * i + 2], KEYS[4 * i + 4]
  redis.call('UNLINK', values, KEYS[4 * i + 3])
  if redis.call('EXISTS', loaded) == 1 then
    redis.call('RENAME', loaded, values)
    redis.call('PERSIST', values)
  end
  redis.call('SET', fence, ARGV[2 * i + 3])
end
return false
"""

# KEYS: fence, values. ARGV: keys of values. Returns the fence and the values.
READ: Final = """
if #ARGV == 0 then return {redis.call('GET', KEYS[1]), {}} end
return {redis.call('GET', KEYS[1]), redis.call('HMGET', KEYS[2], unpack(ARGV))}
"""

# As READ, for values that may be in parts (``schemas.values.tails``): byte 2 begins a base, and '+' the key of its tail.
# If there is a base among the values, a third element of the reply holds the tail of each value, or false.
READ_IN_PARTS: Final = """
local values, tails = redis.call('HMGET', KEYS[2], unpack(ARGV)), false
for i, value in ipairs(values) do
  if value and string.byte(value) == 2 then
    tails = tails or {}
    tails[i] = redis.call('HGET', KEYS[2], '+' .. ARGV[i])
  end
end
if not tails then return {redis.call('GET', KEYS[1]), values} end
for i = 1, #values do tails[i] = tails[i] or false end
return {redis.call('GET', KEYS[1]), values, tails}
"""

# KEYS: values. ARGV: cursor and count. Returns the next cursor, and keys and values one after the other.
SCAN: Final = "return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])"

# KEYS: fence, values, commits. ARGV: the offset up to which the follower has read. Returns the fence and later commits.
COMMITS: Final = """
return {redis.call('GET', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf')}
"""
