"""The signal store on Redis: values and fence change together, in one Lua script on one slot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec
import redis
import structlog
from redis import asyncio as aioredis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.redis_pipeline import BlockingConnection, PipelinedConnection
from adapters.registry import Adapter
from schemas import site
from schemas.addresses import Address
from schemas.errors import FenceMoved, StoreFull, StoreUnavailable
from schemas.keys import FOLLOWED, commits_key, fence_key, values_key
from schemas.log.fence import Fence
from schemas.ports import SignalChanges, SignalValues

T = TypeVar("T")

_log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 5.0
_CHUNK: Final = 1_000
"""Values that one command reads or scans, so that no command blocks Redis for long."""
ANNOUNCED: Final = 1_000
"""Number of commits that followers can read. A follower that is further behind reads everything anew."""
ANNOUNCED_OFFSETS: Final = 200_000
"""Number of offsets that these commits reach back. This bounds the number of their keys."""
_SCANS: Final = 5
"""Most times that a full read begins anew because the partition was reset during the read."""

# KEYS: fence, values, commits.
# ARGV 1, 2: expected and new fence. 3: the record of the commit for followers, empty if the signal is not followed.
# 4: the commit's offset. 5: commits up to this offset are removed. 6: commits up to this rank, from the end, are removed.
# 7: the number of values to write. Then the key and value of each, then the keys to remove.
# Returns false, or the stored fence if it was not the expected one.
# Each command takes hundreds of values, because a command costs a record in the append-only file. Lua's stack
# allows no more.
_COMMIT: Final = """
local actual = redis.call('GET', KEYS[1]) or ''
if actual ~= ARGV[1] then return actual end
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
_RESET: Final = """
local actual = redis.call('GET', KEYS[1]) or ''
if actual ~= ARGV[1] then return actual end
if actual ~= '' and string.sub(actual, 1, 3) ~= '-1@' and redis.call('EXISTS', KEYS[4]) == 0 then
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[5]) end
  redis.call('SET', KEYS[4], actual)
end
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('SET', KEYS[1], ARGV[2])
return false
"""

# KEYS as in _RESET. ARGV: expected fence.
_RESTORE: Final = """
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

# KEYS: fence, values. ARGV: keys of values. Returns the fence and the values.
_READ: Final = """
if #ARGV == 0 then return {redis.call('GET', KEYS[1]), {}} end
return {redis.call('GET', KEYS[1]), redis.call('HMGET', KEYS[2], unpack(ARGV))}
"""

# KEYS: fence, values, commits. ARGV: the offset up to which the follower has read. Returns the fence and later commits.
_COMMITS: Final = """
return {redis.call('GET', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf')}
"""


class _Commit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A commit as followers read it: the fence's offset before and after it, and the keys that it changed."""

    previous: int
    offset: int
    keys: tuple[str, ...]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Commit)


class RedisSignalStore:
    """The SignalStore on Redis; ``prefix`` is put before every key."""

    def __init__(self, url: str, prefix: str = "", *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._prefix, self._url = prefix, url
        self._redis: redis.Redis[bytes] = redis.Redis.from_url(url, **_settings(answer_seconds), retry=_RETRY)
        self._connection = BlockingConnection(self._redis)

    def fence(self, partition: int, signal: str) -> Fence | None:
        """The stored fence."""
        return _fence(self._execute("GET", fence_key(self._prefix, partition, signal)))

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """The values of these keys, in their order."""
        name, values = values_key(self._prefix, partition, signal), list[bytes | None]()
        for start in range(0, len(keys), _CHUNK):
            values.extend(self._execute("HMGET", name, *keys[start : start + _CHUNK]))
        return values

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """See SignalStore. A commit that is sent again after a lost reply finds its own fence, and raises FenceMoved."""
        commit_record = b""
        if signal in FOLLOWED:
            commit_record = _ENCODER.encode(_Commit(expected.offset if expected else -1, fence.offset, tuple(values)))
        written = [argument for pair in values.items() if pair[1] is not None for argument in pair]
        removed = [key for key, value in values.items() if value is None]
        record = [commit_record, fence.offset, fence.offset - ANNOUNCED_OFFSETS, -ANNOUNCED - 1]
        arguments = [_text(expected), _text(fence), *record, len(written) // 2, *written, *removed]
        self._swap(_COMMIT, partition, signal, arguments)

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """See SignalStore."""
        self._swap(_RESET, partition, signal, [_text(expected), _text(fence)])

    def aside(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        return self.fence(partition, _aside(signal))

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """See SignalStore."""
        self._swap(_RESTORE, partition, signal, [_text(expected)])

    def discard_aside(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._execute("UNLINK", *_keys(self._prefix, partition, _aside(signal))[:2])

    def scan(self, partition: int, signal: str) -> Iterator[tuple[str, bytes]]:
        """Every value of the partition; a key may come twice while the hash grows, with its newest value last."""
        name, cursor = values_key(self._prefix, partition, signal), 0
        while True:
            cursor, values = self._call(lambda position=cursor: self._redis.hscan(name, position, count=_CHUNK))  # type: ignore[misc]
            for key, value in values.items():
                yield key.decode(), value
            if not cursor:
                return

    def check(self) -> None:
        """Raises StoreUnavailable if Redis does not reply; warns if Redis may evict values under memory pressure."""
        self._call(self._redis.ping)
        policy = self.eviction_policy()
        if policy not in ("noeviction", None):
            _log.warning(
                "redis_may_evict",
                policy=policy,
                advice="set maxmemory-policy to noeviction: an evicted value beside a live fence is lost unnoticed",
            )

    def eviction_policy(self) -> str | None:
        """Redis's ``maxmemory-policy``; None if Redis does not show it, as some managed services do not."""

        def read_policy() -> Any:
            try:
                return self._redis.config_get("maxmemory-policy")
            except redis.ResponseError:
                return {}

        policy: str | None = self._call(read_policy).get("maxmemory-policy")
        return policy

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()
        self._redis.close()

    def _swap(self, script: str, partition: int, signal: str, arguments: list[Any]) -> None:
        names = [*_keys(self._prefix, partition, signal), *_keys(self._prefix, partition, _aside(signal))[:2]]
        actual = self._execute("EVAL", script, len(names), *names, *arguments)
        if actual is not None:
            raise FenceMoved(partition, signal, _fence(actual or None))

    def _execute(self, *command: str | int | bytes) -> Any:
        return self._call(lambda: self._connection.execute(*command))

    def _call(self, operation: Callable[[], T]) -> T:
        try:
            return operation()
        except redis.RedisError as error:
            raise _unavailable(self._url, error) from error


class RedisSignalReader:
    """The SignalReader on Redis, for one event loop."""

    def __init__(self, url: str, prefix: str = "", *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._prefix, self._url = prefix, url
        self._redis: aioredis.Redis[bytes] = aioredis.Redis.from_url(
            url, **_settings(answer_seconds), retry=_ASYNC_RETRY
        )
        self._commits: Any = self._redis.register_script(_COMMITS)
        self._connection = PipelinedConnection(self._redis)

    async def read(self, partition: int, signal: str, keys: Sequence[str]) -> SignalValues:
        """See SignalReader. One script reads fence and values at one moment."""
        names = _keys(self._prefix, partition, signal)[:2]
        fence, values = await self._call(self._connection.execute("EVAL", _READ, 2, *names, *keys))
        return SignalValues(_fence(fence), values)

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        """See SignalReader. Each fence has a command, because the keys lie in several slots; all are sent together."""
        replies = [
            self._connection.execute("GET", fence_key(self._prefix, partition, signal)) for partition in partitions
        ]
        fences = [_fence(encoded) for encoded in await self._call(asyncio.gather(*replies))]
        return {partition: fence for partition, fence in zip(partitions, fences, strict=True) if fence is not None}

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        """See SignalReader. Values newer than the fence come again with the changes after it."""
        if since is None:
            return await self._all_values(partition, signal)
        keys = _keys(self._prefix, partition, signal)
        encoded_fence, encoded_commits = await self._call(self._commits(keys=keys, args=[since.offset]))
        fence = _fence(encoded_fence)
        if fence is None or fence.log_id != since.log_id or fence.offset < since.offset:
            return await self._all_values(partition, signal)
        commits = [_DECODER.decode(encoded) for encoded in encoded_commits]
        if not _are_contiguous(commits, since.offset, fence.offset):
            return await self._all_values(partition, signal)
        changed = list(dict.fromkeys(chain.from_iterable([commit.keys for commit in commits])))
        values = await self._values(keys[1], changed)
        changed_values = {key: value for key, value in zip(changed, values, strict=True) if value is not None}
        return SignalChanges(fence, changed_values, whole=False)

    async def close(self) -> None:
        """Closes the connections. Reads that have not ended are cancelled."""
        await self._connection.close()
        await self._redis.aclose()  # type: ignore[attr-defined]  # the stubs are older than the driver

    async def _all_values(self, partition: int, signal: str) -> SignalChanges:
        fence_name, values_name, _ = _keys(self._prefix, partition, signal)
        for _ in range(_SCANS):
            fence_before = await self._fence(fence_name)
            values = {key.decode(): value async for key, value in self._scan(values_name)}
            fence_after = await self._fence(fence_name)
            if _is_continuation(fence_before, fence_after):
                return SignalChanges(fence_before, values if fence_before else {}, whole=True)
        raise StoreUnavailable(f"partition {partition} of '{signal}' is being rebuilt; ask again in a moment")

    async def _scan(self, name: str) -> Any:
        cursor = 0
        while True:
            cursor, values = await self._call(self._redis.hscan(name, cursor, count=_CHUNK))
            for pair in values.items():
                yield pair
            if not cursor:
                return

    async def _values(self, name: str, keys: Sequence[str]) -> list[bytes | None]:
        values: list[bytes | None] = []
        for start in range(0, len(keys), _CHUNK):
            values.extend(await self._call(self._redis.hmget(name, list(keys[start : start + _CHUNK]))))
        return values

    async def _fence(self, name: str) -> Fence | None:
        return _fence(await self._call(self._redis.get(name)))

    async def _call(self, awaitable: Any) -> Any:
        try:
            return await awaitable
        except redis.RedisError as error:
            raise _unavailable(self._url, error) from error


# A restart of Redis leaves dead connections in the pool: one retry uses a fresh one. The caller decides about waiting.
_RETRY: Final = Retry(NoBackoff(), 1)
_ASYNC_RETRY: Final = aioredis.retry.Retry(NoBackoff(), 1)


def _settings(seconds: float) -> dict[str, Any]:
    return {"socket_timeout": seconds, "socket_connect_timeout": min(seconds, 2.0), "socket_keepalive": True}


def _keys(prefix: str, partition: int, signal: str) -> list[str]:
    names = (fence_key, values_key, commits_key)
    return [name(prefix, partition, signal) for name in names]


def _aside(signal: str) -> str:
    """Returns the name under which the values of a signal are set aside."""
    return f"{signal}:aside"


def _is_continuation(earlier: Fence | None, later: Fence | None) -> bool:
    """True if the partition was not reset between two reads of its fence."""
    if earlier is None or later is None:
        return earlier is later
    return later.log_id == earlier.log_id and later.offset >= earlier.offset


def _are_contiguous(commits: Sequence[_Commit], begin: int, end: int) -> bool:
    """True if commits lead from offset ``begin`` to ``end`` without a gap. The first commit may begin before ``begin``."""
    begins = [min(begin, commits[0].previous), *(commit.offset for commit in commits)] if commits else [begin]
    joined = all(commit.previous == offset for commit, offset in zip(commits, begins, strict=False))
    return joined and begins[-1] == end


def _text(fence: Fence | None) -> str:
    return "" if fence is None else f"{fence.offset}@{fence.log_id}"


def _fence(encoded: Any) -> Fence | None:
    if encoded is None:
        return None
    offset, _, log_id = encoded.decode().partition("@")
    return Fence(log_id, int(offset))


def _unavailable(url: str, error: redis.RedisError) -> StoreUnavailable:
    server = url.rpartition("@")[2]
    if isinstance(error, redis.exceptions.OutOfMemoryError):  # type: ignore[attr-defined]  # the stubs are older than the driver
        return StoreFull(f"Redis at {server} has no memory left ({error}): raise its maxmemory")
    return StoreUnavailable(
        f"Redis at {server} does not answer ({error}): start it, or set FRESHET_REDIS to where it runs"
    )


def _prepare(address: Address) -> None:
    with closing(RedisSignalStore(address.url, site.key_prefix(address.site))) as store:
        store.check()


ADAPTER: Final = Adapter(
    ("redis", "rediss", "unix"),
    signal_store=lambda address: RedisSignalStore(address.url, site.key_prefix(address.site)),
    signal_reader=lambda address: RedisSignalReader(address.url, site.key_prefix(address.site)),
    prepare=_prepare,
)
"""Signals at ``redis://host:port/database``, with TLS at ``rediss://``, on a socket at ``unix://path``."""
