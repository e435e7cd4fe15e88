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
from schemas.errors import FenceMoved, StoreUnavailable
from schemas.keys import FOLLOWED, commits_key, fence_key, values_key
from schemas.log.fence import Fence
from schemas.ports import SignalChanges, SignalValues

T = TypeVar("T")

_log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 5.0
_CHUNK: Final = 1_000
"""Values asked for or scanned at once, so that no single command holds Redis up for long."""
ANNOUNCED: Final = 1_000
"""Commits that followers can read,"""
ANNOUNCED_OFFSETS: Final = 200_000
"""and how far these reach back, which bounds their keys; whoever is further behind reads everything anew."""
_SCANS: Final = 5
"""How often a first read begins anew because the partition was reset under it."""

# KEYS: fence, values, commits. ARGV: expected and new fence, the record of the commit for followers (empty where the
# signal is not followed), its offset, the last one that is too old to keep, the rank from the end of the last one
# beyond those kept, how many values are written, then key and value of each, then the keys that are removed.
# Answers false, or the fence that stood there where it was not the expected one.
# Hundreds of values go in each command, as each costs a record in the append-only file; Lua's stack holds no more.
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

# KEYS: fence, values, commits. ARGV: expected and new fence.
_RESET: Final = """
local actual = redis.call('GET', KEYS[1]) or ''
if actual ~= ARGV[1] then return actual end
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('SET', KEYS[1], ARGV[2])
return false
"""

# KEYS: fence, values. ARGV: keys of values. Answers the fence and the values.
_READ: Final = """
if #ARGV == 0 then return {redis.call('GET', KEYS[1]), {}} end
return {redis.call('GET', KEYS[1]), redis.call('HMGET', KEYS[2], unpack(ARGV))}
"""

# KEYS: fence, values, commits. ARGV: offset of the last changes seen. Answers the fence and the commits since.
_COMMITS: Final = """
return {redis.call('GET', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf')}
"""


class _Commit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A commit as followers read it: the fence's offset before and after it, and the keys that it has changed."""

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
        """The fence as it stands."""
        return _fence(self._ask("GET", fence_key(self._prefix, partition, signal)))

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """The values of these keys, in their order."""
        name, values = values_key(self._prefix, partition, signal), list[bytes | None]()
        for start in range(0, len(keys), _CHUNK):
            values.extend(self._ask("HMGET", name, *keys[start : start + _CHUNK]))
        return values

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """See SignalStore. A commit sent again after a lost answer finds its own fence: that is FenceMoved too."""
        told = b""
        if signal in FOLLOWED:
            told = _ENCODER.encode(_Commit(expected.offset if expected else -1, fence.offset, tuple(values)))
        written = [part for pair in values.items() if pair[1] is not None for part in pair]
        removed = [key for key, value in values.items() if value is None]
        record = [told, fence.offset, fence.offset - ANNOUNCED_OFFSETS, -ANNOUNCED - 1]
        arguments = [_text(expected), _text(fence), *record, len(written) // 2, *written, *removed]
        self._swap(_COMMIT, partition, signal, arguments)

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """See SignalStore."""
        self._swap(_RESET, partition, signal, [_text(expected), _text(fence)])

    def scan(self, partition: int, signal: str) -> Iterator[tuple[str, bytes]]:
        """Every value of the partition; a key may come twice while the hash grows, with its newest value last."""
        name, cursor = values_key(self._prefix, partition, signal), 0
        while True:
            cursor, values = self._asked(lambda at=cursor: self._redis.hscan(name, at, count=_CHUNK))  # type: ignore[misc]
            for key, value in values.items():
                yield key.decode(), value
            if not cursor:
                return

    def check(self) -> None:
        """Ask Redis for a sign of life, and warn where it may forget values under memory pressure."""
        self._asked(self._redis.ping)
        policy = self.eviction_policy()
        if policy not in ("noeviction", None):
            _log.warning(
                "redis_may_evict",
                policy=policy,
                advice="set maxmemory-policy to noeviction: an evicted value beside a live fence is lost unnoticed",
            )

    def eviction_policy(self) -> str | None:
        """Redis's ``maxmemory-policy``; None where it does not tell, as a managed one may not."""

        def asked() -> Any:
            try:
                return self._redis.config_get("maxmemory-policy")
            except redis.ResponseError:
                return {}

        policy: str | None = self._asked(asked).get("maxmemory-policy")
        return policy

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        self._redis.close()

    def _swap(self, script: str, partition: int, signal: str, arguments: list[Any]) -> None:
        actual = self._ask("EVAL", script, 3, *_keys(self._prefix, partition, signal), *arguments)
        if actual is not None:
            raise FenceMoved(partition, signal, _fence(actual or None))

    def _ask(self, *command: str | int | bytes) -> Any:
        return self._asked(lambda: self._connection.ask(*command))

    def _asked(self, question: Callable[[], T]) -> T:
        try:
            return question()
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
        """See SignalReader: one script, so one moment."""
        names = _keys(self._prefix, partition, signal)[:2]
        fence, values = await self._asked(self._connection.ask("EVAL", _READ, 2, *names, *keys))
        return SignalValues(_fence(fence), values)

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        """See SignalReader: one by one, because the keys lie in several slots, but sent together."""
        asked = [self._connection.ask("GET", fence_key(self._prefix, partition, signal)) for partition in partitions]
        found = [_fence(each) for each in await self._asked(asyncio.gather(*asked))]
        return {partition: fence for partition, fence in zip(partitions, found, strict=True) if fence is not None}

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        """See SignalReader. Values newer than the fence come again with the changes after it."""
        if since is None:
            return await self._everything(partition, signal)
        keys = _keys(self._prefix, partition, signal)
        stored, told = await self._asked(self._commits(keys=keys, args=[since.offset]))
        fence = _fence(stored)
        if fence is None or fence.log_id != since.log_id or fence.offset < since.offset:
            return await self._everything(partition, signal)
        commits = [_DECODER.decode(each) for each in told]
        if not _lead(commits, since.offset, fence.offset):
            return await self._everything(partition, signal)
        changed = list(dict.fromkeys(chain.from_iterable([each.keys for each in commits])))
        values = await self._values(keys[1], changed)
        found = {key: value for key, value in zip(changed, values, strict=True) if value is not None}
        return SignalChanges(fence, found, whole=False)

    async def close(self) -> None:
        """Close the connections; reads that are under way are given up."""
        await self._connection.close()
        await self._redis.aclose()  # type: ignore[attr-defined]  # the stubs are older than the driver

    async def _everything(self, partition: int, signal: str) -> SignalChanges:
        fence_name, values_name, _ = _keys(self._prefix, partition, signal)
        for _ in range(_SCANS):
            before = await self._fence(fence_name)
            found = {key.decode(): value async for key, value in self._scan(values_name)}
            after = await self._fence(fence_name)
            if _follows(before, after):
                return SignalChanges(before, found if before else {}, whole=True)
        raise StoreUnavailable(f"partition {partition} of '{signal}' is being rebuilt; ask again in a moment")

    async def _scan(self, name: str) -> Any:
        cursor = 0
        while True:
            cursor, values = await self._asked(self._redis.hscan(name, cursor, count=_CHUNK))
            for pair in values.items():
                yield pair
            if not cursor:
                return

    async def _values(self, name: str, keys: Sequence[str]) -> list[bytes | None]:
        values: list[bytes | None] = []
        for start in range(0, len(keys), _CHUNK):
            values.extend(await self._asked(self._redis.hmget(name, list(keys[start : start + _CHUNK]))))
        return values

    async def _fence(self, name: str) -> Fence | None:
        return _fence(await self._asked(self._redis.get(name)))

    async def _asked(self, question: Any) -> Any:
        try:
            return await question
        except redis.RedisError as error:
            raise _unavailable(self._url, error) from error


# One try on a fresh connection, for those that a restart of Redis left dead in the pool; waiting is the caller's.
_RETRY: Final = Retry(NoBackoff(), 1)
_ASYNC_RETRY: Final = aioredis.retry.Retry(NoBackoff(), 1)


def _settings(seconds: float) -> dict[str, Any]:
    return {"socket_timeout": seconds, "socket_connect_timeout": min(seconds, 2.0), "socket_keepalive": True}


def _keys(prefix: str, partition: int, signal: str) -> list[str]:
    names = (fence_key, values_key, commits_key)
    return [name(prefix, partition, signal) for name in names]


def _follows(before: Fence | None, after: Fence | None) -> bool:
    """Whether nothing was reset between two looks at a fence."""
    if before is None or after is None:
        return before is after
    return after.log_id == before.log_id and after.offset >= before.offset


def _lead(commits: Sequence[_Commit], begin: int, end: int) -> bool:
    """Whether commits lead from one offset to another without a gap; the first may have begun earlier."""
    begins = [min(begin, commits[0].previous), *(each.offset for each in commits)] if commits else [begin]
    return begins[-1] == end and all(each.previous == at for each, at in zip(commits, begins, strict=False))


def _text(fence: Fence | None) -> str:
    return "" if fence is None else f"{fence.offset}@{fence.log_id}"


def _fence(stored: Any) -> Fence | None:
    if stored is None:
        return None
    offset, _, log_id = stored.decode().partition("@")
    return Fence(log_id, int(offset))


def _unavailable(url: str, error: redis.RedisError) -> StoreUnavailable:
    place = url.rpartition("@")[2]
    return StoreUnavailable(
        f"Redis at {place} does not answer ({error}): start it, or set FRESHET_REDIS to where it runs"
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
