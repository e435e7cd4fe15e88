"""The signal store on Redis: values and fence change together, in one Lua script on one slot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any, Final
from uuid import uuid4

import msgspec
import redis
import structlog

from adapters.redis import scripts as redis_scripts
from adapters.redis.servers import redis_servers, unavailable
from schemas.configuration import site
from schemas.configuration.addresses import Address
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.errors import ConfigurationInvalid, FenceMoved, FreshetError, StoreUnavailable, ValueCorrupt
from schemas.keys import FOLLOWED, IN_PARTS, commits_key, fence_key, fence_text, require_known_format, values_key
from schemas.log.fence import Fence
from schemas.ports import PAGE, Replacement, SignalChanges, SignalValues
from schemas.values import tails

_log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 5.0
_CHUNK: Final = 1_000
"""Values that one command reads or scans, so that no command blocks Redis for long."""
ANNOUNCED: Final = 1_000
"""Number of commits that followers can read. A follower that is further behind reads everything anew."""
ANNOUNCED_OFFSETS: Final = 200_000
"""Number of offsets that these commits reach back. This bounds the number of their keys."""
_LOADING_SECONDS: Final = 86_400
"""Time after which values that a killed process was loading are removed."""
_SCANS: Final = 5
"""Most times that a full read begins anew because the partition was reset during the read."""


class _Commit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A commit as followers read it: the fence's offset before and after it, and the keys that it changed."""

    previous: int
    offset: int
    keys: tuple[str, ...]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Commit)
_FENCE: Final = re.compile(rb"(-1|0|[1-9][0-9]{0,18})@(.+)", re.DOTALL)


class RedisSignalStore:
    """The SignalStore on Redis; ``prefix`` is put before every key."""

    def __init__(
        self, url: str, prefix: str = "", *, access: ServerAccess = NO_ACCESS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        servers = redis_servers(url, access, answer_seconds)
        self._prefix, self._shown = prefix, servers.shown
        self._connection = servers.blocking()

    def fence(self, partition: int, signal: str) -> Fence | None:
        """The stored fence."""
        with self._translate_errors(partition, signal):
            encoded = self._connection.execute("GET", fence_key(self._prefix, partition, signal))
        return _fence(partition, signal, encoded)

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """The values of these keys, in their order."""
        name, values = values_key(self._prefix, partition, signal), list[bytes | None]()
        with self._translate_errors(partition, signal):
            for start in range(0, len(keys), _CHUNK):
                values.extend(self._connection.execute("HMGET", name, *keys[start : start + _CHUNK]))
            if signal in IN_PARTS:
                bases = [key for key, data in zip(keys, values, strict=True) if tails.is_base(data)]
                joined = self._joined(name, bases)
                values = [
                    joined.get(key) if tails.is_base(data) else data for key, data in zip(keys, values, strict=True)
                ]
        return values

    def _joined(self, name: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of these keys, joined with their tails. A value and its tail are read at one moment."""
        values = dict[str, bytes]()
        for start in range(0, len(keys), _CHUNK // 2):
            names = tails.with_tails(keys[start : start + _CHUNK // 2])
            stored = self._connection.execute("HMGET", name, *names)
            values |= tails.join_all({key: data for key, data in zip(names, stored, strict=True) if data is not None})
        return values

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """See SignalStore. A commit that is sent again after a lost reply finds its own fence, and raises FenceMoved."""
        commit_record = b""
        if signal in FOLLOWED:
            commit_record = _ENCODER.encode(_Commit(expected.offset if expected else -1, fence.offset, tuple(values)))
        written = [argument for pair in values.items() if pair[1] is not None for argument in pair]
        removed = (
            tails.removed(values) if signal in IN_PARTS else [key for key, value in values.items() if value is None]
        )
        record = [commit_record, fence.offset, fence.offset - ANNOUNCED_OFFSETS, -ANNOUNCED - 1]
        arguments = [_text(expected), _text(fence), *record, len(written) // 2, *written, *removed]
        # Keys that need not be there are left out: while a cluster moves their slot, it refuses commands on some that are missing.
        names = _keys(self._prefix, partition, signal)[: 3 if signal in FOLLOWED else 2]
        self._swap(redis_scripts.COMMIT, partition, signal, names, arguments)

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """See SignalStore."""
        names = self._with_aside(partition, signal)
        self._swap(redis_scripts.RESET, partition, signal, names, [_text(expected), _text(fence)])

    def aside(self, partition: int, signal: str) -> Fence | None:
        """See SignalStore."""
        return self.fence(partition, _aside(signal))

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """See SignalStore."""
        self._swap(redis_scripts.RESTORE, partition, signal, self._with_aside(partition, signal), [_text(expected)])

    def discard_aside(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._discard(partition, _aside(signal))

    def discard(self, partition: int, signal: str) -> None:
        """See SignalStore."""
        self._discard(partition, signal)

    def replace(self, partition: int, replacements: Sequence[Replacement], *, back: bool = False) -> None:
        """See SignalStore. The values are loaded under names of their own, which expire if the process ends."""
        loading = [
            values_key(self._prefix, partition, f"{replacement.signal}:loading:{uuid4().hex}")
            for replacement in replacements
        ]
        with self._translate_errors(partition, replacements[0].signal):
            try:
                for name, replacement in zip(loading, replacements, strict=True):
                    for values in replacement.batches:
                        self._load_batch(name, values)
                moved = self._swap_in(partition, replacements, loading, back=back)
            finally:
                self._connection.execute("UNLINK", *loading)
        if moved is not None:
            signal = replacements[moved[0]].signal
            raise FenceMoved(partition, signal, _fence(partition, signal, moved[1] or None))

    def _swap_in(
        self, partition: int, replacements: Sequence[Replacement], loading: Sequence[str], *, back: bool
    ) -> Any:
        names: list[str] = []
        arguments = ["back" if back else ""]
        for name, replacement in zip(loading, replacements, strict=True):
            names += [*_keys(self._prefix, partition, replacement.signal), name]
            arguments += [_text(replacement.expected), _text(replacement.fence)]
        return self._connection.execute("EVAL", redis_scripts.REPLACE, len(names), *names, *arguments)

    def _load_batch(self, name: str, values: Mapping[str, bytes | None]) -> None:
        items = list(values.items())
        for start in range(0, len(items), _CHUNK):
            chunk = items[start : start + _CHUNK]
            written = [argument for key, value in chunk if value is not None for argument in (key, value)]
            removed = [key for key, value in chunk if value is None]
            if written:
                self._connection.execute("HSET", name, *written)
            if removed:
                self._connection.execute("HDEL", name, *removed)
        self._connection.execute("EXPIRE", name, _LOADING_SECONDS)

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Iterator[tuple[str, bytes]]:
        """Every value of the partition; a key may come twice while the hash grows, with its newest value last."""
        name, cursor = values_key(self._prefix, partition, signal), b"0"
        while True:
            with self._translate_errors(partition, signal):
                cursor, flat = self._connection.execute("EVAL", redis_scripts.SCAN, 1, name, cursor, page)
                values = _by_name(flat)
                if signal in IN_PARTS:
                    bases = [key for key, data in values.items() if tails.is_base(data) and not tails.is_tail_key(key)]
                    whole = {key: data for key, data in values.items() if not tails.is_base(data)}
                    values = tails.join_all(whole) | self._joined(name, bases)
            yield from values.items()
            if cursor == b"0":
                return

    def check(self, *, allow_eviction: bool = False) -> None:
        """Raises StoreUnavailable if Redis does not reply, and ConfigurationInvalid if it may throw values away."""
        with self._translate_errors():
            self._connection.on_primaries("PING")
        policy = self.eviction_policy()
        if policy in ("noeviction", None):
            return
        if not allow_eviction:
            raise ConfigurationInvalid(
                f"Redis at {self._shown} throws values away when its memory is full (maxmemory-policy {policy}), and a value "
                "that vanishes beside its fence is lost unnoticed: set maxmemory-policy to noeviction, or "
                "FRESHET_ALLOW_EVICTION=true to accept that"
            )
        _log.warning("redis_may_evict", policy=policy)

    def eviction_policy(self) -> str | None:
        """Redis's ``maxmemory-policy``; None if Redis does not show it, as some managed services do not."""
        policies = self.configured("maxmemory-policy")
        return next((policy for policy in policies if policy != "noeviction"), policies[0] if policies else None)

    def configured(self, name: str) -> list[str | None]:
        """The values of a setting on every server that takes writes; None where Redis does not show it."""
        with self._translate_errors():
            try:
                replies = self._connection.on_primaries("CONFIG", "GET", name)
            except redis.ResponseError:
                return [None]
        return [_setting(reply, name) for reply in replies]

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    def _with_aside(self, partition: int, signal: str) -> list[str]:
        return [*_keys(self._prefix, partition, signal), *_keys(self._prefix, partition, _aside(signal))[:2]]

    def _swap(self, script: str, partition: int, signal: str, names: Sequence[str], arguments: list[Any]) -> None:
        with self._translate_errors(partition, signal):
            actual = self._connection.execute("EVAL", script, len(names), *names, *arguments)
        if actual is not None:
            raise FenceMoved(partition, signal, _fence(partition, signal, actual or None))

    def _discard(self, partition: int, signal: str) -> None:
        with self._translate_errors():
            self._connection.execute("UNLINK", *_keys(self._prefix, partition, signal))

    @contextmanager
    def _translate_errors(self, partition: int = -1, signal: str = "") -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise _translated(self._shown, error, partition, signal) from error


class RedisSignalReader:
    """The SignalReader on Redis, for one event loop."""

    def __init__(
        self, url: str, prefix: str = "", *, access: ServerAccess = NO_ACCESS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        servers = redis_servers(url, access, answer_seconds)
        self._prefix, self._shown = prefix, servers.shown
        self._connection = servers.pipelined()

    async def read(self, partition: int, signal: str, keys: Sequence[str]) -> SignalValues:
        """See SignalReader. One script reads fence and values at one moment."""
        names = _keys(self._prefix, partition, signal)[:2]
        script = redis_scripts.READ_IN_PARTS if keys and signal in IN_PARTS else redis_scripts.READ
        reply = self._connection.execute("EVAL", script, 2, *names, *keys)
        fence, values, *found = await self._call(reply, partition, signal)
        if found:
            values = [data and tails.join(data, tail) for data, tail in zip(values, found[0], strict=True)]
        return SignalValues(_fence(partition, signal, fence), values)

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        """See SignalReader. Each fence has a command, because the keys lie in several slots; all are sent together."""
        replies = [self._readable_fence(partition, signal) for partition in partitions]
        fences = await asyncio.gather(*replies)
        return {partition: fence for partition, fence in zip(partitions, fences, strict=True) if fence is not None}

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        """See SignalReader. Values newer than the fence come again with the changes after it."""
        if since is None:
            return await self._all_values(partition, signal)
        keys = _keys(self._prefix, partition, signal)
        try:
            commits_after = self._connection.execute("EVAL", redis_scripts.COMMITS, len(keys), *keys, since.offset)
            reply = await self._call(commits_after, partition, signal)
            fence, commits = _fence(partition, signal, reply[0]), [_DECODER.decode(encoded) for encoded in reply[1]]
        except (
            ValueCorrupt,
            msgspec.DecodeError,
        ):  # the commits cannot be read; if it is the fence, all values neither
            return await self._all_values(partition, signal)
        if fence is None or fence.log_id != since.log_id or fence.offset < since.offset:
            return await self._all_values(partition, signal)
        if not _are_contiguous(commits, since.offset, fence.offset):
            return await self._all_values(partition, signal)
        changed = list(dict.fromkeys(chain.from_iterable([commit.keys for commit in commits])))
        return SignalChanges(fence, await self._values_of(changed, partition, signal), whole=False)

    async def close(self) -> None:
        """Closes the connections. Reads that have not ended are cancelled."""
        await self._connection.close()

    async def _values_of(self, keys: Sequence[str], partition: int, signal: str) -> dict[str, bytes]:
        """The values of these keys that are there, read and kept in chunks, so that other work gets its turn."""
        name, values = values_key(self._prefix, partition, signal), dict[str, bytes]()
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            found = await self._call(self._connection.execute("HMGET", name, *chunk), partition, signal)
            values.update((key, value) for key, value in zip(chunk, found, strict=True) if value is not None)
        return values

    async def _all_values(self, partition: int, signal: str) -> SignalChanges:
        for _ in range(_SCANS):
            fence_before = await self._fence(partition, signal)
            values = await self._scan(partition, signal)
            fence_after = await self._fence(partition, signal)
            if _is_continuation(fence_before, fence_after):
                return SignalChanges(fence_before, values if fence_before else {}, whole=True)
        raise StoreUnavailable(f"partition {partition} of '{signal}' is being rebuilt; ask again in a moment")

    async def _scan(self, partition: int, signal: str) -> dict[str, bytes]:
        name, cursor, values = values_key(self._prefix, partition, signal), b"0", dict[str, bytes]()
        while True:
            reply = self._connection.execute("EVAL", redis_scripts.SCAN, 1, name, cursor, _CHUNK)
            cursor, page = await self._call(reply, partition, signal)
            values.update(_by_name(page))
            if cursor == b"0":
                return values

    async def _fence(self, partition: int, signal: str) -> Fence | None:
        reply = self._connection.execute("GET", fence_key(self._prefix, partition, signal))
        return _fence(partition, signal, await self._call(reply, partition, signal))

    async def _readable_fence(self, partition: int, signal: str) -> Fence | None:
        try:
            return await self._fence(partition, signal)
        except ValueCorrupt:
            return None

    async def _call(self, awaitable: Any, partition: int, signal: str) -> Any:
        try:
            return await awaitable
        except redis.RedisError as error:
            raise _translated(self._shown, error, partition, signal) from error


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
    return "" if fence is None else fence_text(fence)


def _fence(partition: int, signal: str, encoded: bytes | None) -> Fence | None:
    """Returns the fence; raises ValueCorrupt."""
    if encoded is None:
        return None
    require_known_format(encoded)
    match = _FENCE.fullmatch(encoded)
    try:
        if match is not None:
            return Fence(match[2].decode(), int(match[1]))
    except UnicodeDecodeError:
        pass
    raise ValueCorrupt(partition, signal, (), f"the fence is {encoded[:100]!r}")


def _by_name(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Returns the values by their keys as text, from keys and values one after the other.

    A key that is no text is left out: it is of nobody here.
    """
    values = dict(zip(flat[::2], flat[1::2], strict=True))
    try:
        return {key.decode(): value for key, value in values.items()}
    except UnicodeDecodeError:
        return {text: value for key, value in values.items() if (text := key.decode(errors="ignore")).encode() == key}


def _translated(shown: str, error: redis.RedisError, partition: int, signal: str) -> FreshetError:
    if isinstance(error, redis.ResponseError) and str(error).startswith("WRONGTYPE"):
        return ValueCorrupt(partition, signal, (), error)
    return unavailable(shown, error)


def _setting(reply: Any, name: str) -> str | None:
    """The value in a reply to CONFIG GET, which is a map or a list, of texts or bytes."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {_as_text(key): _as_text(value) for key, value in pairs}.get(name)


def _as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def prepare(address: Address) -> None:
    """Checks that the server keeps what is written; raises ConfigurationInvalid, StoreUnavailable."""
    with closing(signal_store(address)) as store:
        store.check(allow_eviction=address.durability.allow_eviction)


def signal_store(address: Address) -> RedisSignalStore:
    """The signal store of an address."""
    return RedisSignalStore(address.url, site.key_prefix(address.site), access=address.access)


def signal_reader(address: Address) -> RedisSignalReader:
    """The reader of the signals of an address."""
    return RedisSignalReader(address.url, site.key_prefix(address.site), access=address.access)
