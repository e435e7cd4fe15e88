"""The values of one signal in one partition, as its writer holds them: a cache of the store, the changes, and the fence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from schemas.errors import UNREADABLE, ValueCorrupt
from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.ports import SignalStore
from schemas.values import tails
from signals import user_codec
from signals.counters import AggregateKind
from signals.user_codec import Basis
from signals.users import UserValue

V = TypeVar("V")

HOT_BYTES: Final = 4 * 1_048_576
"""Limit of the values in memory for each partition and signal, by encoded size. Decoded, they take 7 times as much.

The cache is trimmed whenever values of HOT_BYTES / 2 have been committed. A trimming keeps only the values that were written
since the last trimming. If these exceed HOT_BYTES, it keeps none.
"""
TAIL_FROM_BYTES: Final = 4_096
"""Size from which a user's value is stored in two parts. The values of most users are smaller, and cost what they did."""


class Packed(NamedTuple):
    """What a commit writes of one value."""

    written: Mapping[str, bytes | None]
    """Bytes by key; None removes what the key has."""
    size: int
    """Encoded size of the whole value."""


class Packing(Protocol[V]):
    """Packs and unpacks the values of one signal."""

    def unpack(self, key: str, data: bytes | None) -> V:
        """Returns the value that the store has under a key; raises UNREADABLE."""

    def pack(self, key: str, value: V) -> Packed:
        """Returns what to write of a value that has changed."""

    def keep(self, keys: Iterable[str]) -> None:
        """Forget what is known about all values but these. After an exception of a commit: about all."""

    def drop(self, key: str) -> None:
        """Forget what is known about a value, because it leaves the store."""


class WholeValues(Generic[V]):
    """Packs each value as a whole."""

    def __init__(self, decode: Callable[[str, bytes | None], V], encode: Callable[[V], bytes | None]) -> None:
        self._decode, self._encode = decode, encode

    def unpack(self, key: str, data: bytes | None) -> V:
        """See Packing."""
        return self._decode(key, data)

    def pack(self, key: str, value: V) -> Packed:
        """See Packing."""
        data = self._encode(value)
        return Packed({key: data}, len(data or b""))

    def keep(self, keys: Iterable[str]) -> None:
        """Do nothing."""

    def drop(self, key: str) -> None:
        """Do nothing."""


class _Base(NamedTuple):
    """A stored base, and what was written of its value."""

    basis: Basis
    size: int
    tail_bytes: int
    """Bytes of all tails that were written since the base."""


class UserValues:
    """Packs the values of users. Only the tail of a large value is written, until the tails since its base outgrow the base.

    Without ``in_parts`` all values are written whole, as a release that knows no tails reads them.
    """

    def __init__(self, *, in_parts: bool) -> None:
        self._in_parts = in_parts
        self._bases: dict[str, _Base] = {}
        self._shortened: set[str] = set()

    def unpack(self, key: str, data: bytes | None) -> UserValue:
        """See Packing."""
        if data is None:
            return user_codec.decode(None)
        value, basis = user_codec.decode_with_basis(data)
        if basis is not None:
            parts = tails.split(data)
            assert parts is not None
            self._bases[key] = _Base(basis, len(parts.base), len(parts.tail or b""))
        return value

    def shorten(self, key: str) -> None:
        """Note that history was removed from a value. It is written anew, and so is gone from its base and tail."""
        self._shortened.add(key)

    def pack(self, key: str, value: UserValue) -> Packed:
        """See Packing."""
        base = self._bases.get(key)
        if base is not None and self._in_parts and key not in self._shortened:
            tail = user_codec.encode_tail(value, base.basis)
            if tail is not None and base.tail_bytes + len(tail) <= base.size:
                self._bases[key] = base._replace(tail_bytes=base.tail_bytes + len(tail))
                return Packed({tails.tail_key(key): tail}, base.size + len(tail))
        return self._pack_anew(key, value, may_have_tail=base is not None or key in self._shortened)

    def keep(self, keys: Iterable[str]) -> None:
        """See Packing."""
        self._bases = {key: base for key in keys if (base := self._bases.get(key)) is not None}
        self._shortened.clear()

    def drop(self, key: str) -> None:
        """See Packing."""
        self._bases.pop(key, None)

    def _pack_anew(self, key: str, value: UserValue, *, may_have_tail: bool) -> Packed:
        self._bases.pop(key, None)
        self._shortened.discard(key)
        data = user_codec.encode_stored(value)
        if data is None:
            return Packed({key: None}, 0)
        if self._in_parts and len(data) >= TAIL_FROM_BYTES:
            self._bases[key] = _Base(user_codec.basis_of(value), len(data), 0)
            return Packed({key: tails.BASE + data, tails.tail_key(key): None}, len(data))
        written = {key: data, tails.tail_key(key): None} if may_have_tail else {key: data}
        return Packed(written, len(data))


class SignalState(Generic[V]):
    """The values of one signal in one partition: a cache of the store, the uncommitted changes, and the fence."""

    def __init__(self, store: SignalStore, partition: int, signal: Signal, log_id: str, packing: Packing[V]) -> None:
        self._store, self._partition, self._signal, self._log_id = store, partition, signal, log_id
        self._packing = packing
        self._values: dict[str, V] = {}
        self._dirty: dict[str, None] = {}
        self._hot: dict[str, None] = {}
        self._staged: dict[str, bytes | None] = {}
        self._written = 0
        self._fence: Fence | None = None
        self.applied = -1
        """Offset of the last event that the values in memory contain; -1 for none."""

    @property
    def committed(self) -> int:
        """Offset of the fence that was last read or written: the last event in the store; -1 for none."""
        return self._fence.offset if self._fence else -1

    def open(self) -> None:
        """Drop the memory and read the fence. If the stored values come from another log, remove them."""
        for memory in (self._values, self._dirty, self._hot, self._staged):
            memory.clear()
        self._packing.keep(())
        self._written = 0
        self._fence = self._store.fence(self._partition, self._signal)
        if self._fence is None or self._fence.log_id != self._log_id:
            fresh = Fence(self._log_id, -1)
            self._store.reset(self._partition, self._signal, self._fence, fresh)
            self._fence = fresh
        self.applied = self.committed

    def fetch(self, keys: Iterable[str]) -> None:
        """Read into memory the values that it lacks of these keys, in one read. Raises ValueCorrupt."""
        # A difference of sets would visit every value in memory.
        missing = [key for key in keys if key not in self._values]
        if missing:
            stored = self.load(missing)
            try:
                self._values.update(zip(missing, map(self._packing.unpack, missing, stored), strict=True))
            except UNREADABLE as error:
                unreadable = [
                    key for key, data in zip(missing, stored, strict=True) if not self._is_readable(key, data)
                ]
                raise ValueCorrupt(self._partition, self._signal, unreadable, error) from error

    def _is_readable(self, key: str, data: bytes | None) -> bool:
        try:
            self._packing.unpack(key, data)
        except UNREADABLE:
            return False
        return True

    def __getitem__(self, key: str) -> V:
        return self._values[key]

    def put(self, key: str, value: V) -> None:
        """Set a value in memory. The next commit writes it."""
        self._values[key] = value
        self._dirty[key] = None

    def load(self, keys: Sequence[str]) -> list[bytes | None]:
        """Returns the stored bytes of these keys."""
        return self._store.load(self._partition, self._signal, keys)

    def stage(self, stored: Mapping[str, bytes | None]) -> None:
        """Write these bytes with the next commit, and drop these keys from memory. None of them has a changed value."""
        self._staged.update(stored)
        for key in stored:
            self._values.pop(key, None)
            self._hot.pop(key, None)
            self._packing.drop(key)

    def change(self, changes: Iterable[tuple[AggregateKind, Mapping[str, Sequence[Any]]]]) -> None:
        """Fold the changes that ``aggregates.changes`` yields into the counters. After an exception, ``open`` again."""
        changes_by_kind, values = list(changes), self._values
        self.fetch([key for _, changes_by_key in changes_by_kind for key in changes_by_key])
        for kind, changes_by_key in changes_by_kind:
            for key, key_changes in changes_by_key.items():
                before = values[key]
                values[key] = kind.fold(before, key_changes)
                if values[key] is not before:
                    self._dirty[key] = None

    def commit(self) -> None:
        """Write the changed values and the fence in one step."""
        if self.applied == self.committed:
            return
        fence = Fence(self._log_id, self.applied)
        changed = dict(self._staged)
        size = 0
        for key in self._dirty:
            packed = self._packing.pack(key, self._values[key])
            changed.update(packed.written)
            size += packed.size
        self._store.commit(self._partition, self._signal, self._fence, fence, changed)
        self._fence = fence
        self._hot.update(self._dirty)
        self._dirty.clear()
        self._staged.clear()
        self._written += size
        if self._written >= HOT_BYTES // 2:
            hot_keys = self._hot if self._written < HOT_BYTES else ()
            self._values = {key: self._values[key] for key in hot_keys}
            self._packing.keep(self._values)
            self._hot.clear()
            self._written = 0
