"""The two parts in which the store keeps a large value: the base, rewritten seldom, and the tail, with what changed since.

A base begins with a byte at which no packed value begins. So a release that knows no tails cannot take an old base for the
value: it finds something that it cannot read, and folds the value again from the log. Stores give both parts joined, as one
value. What the parts hold is the matter of ``signals.user_codec``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

BASE: Final = b"\x02"
"""First byte of a base."""
JOINED: Final = b"\x03"
"""First byte of a base that is joined with its tail."""

_LENGTH: Final = 4
PREFIX: Final = "+"
"""Begins the key of a tail. No key of a value of ``users`` begins with it."""


class Parts(NamedTuple):
    """A value in its two parts."""

    base: memoryview
    """The packed value as of its base, without the mark."""
    tail: memoryview | None
    """The packed tail; None if nothing has changed since."""


def tail_key(key: str) -> str:
    """Returns the key under which the tail of a value is stored."""
    return PREFIX + key


def is_tail_key(key: str) -> bool:
    """True if this is the key of a tail."""
    return key.startswith(PREFIX)


def owner(key: str) -> str:
    """Returns the key of the value to which a stored key belongs."""
    return key.removeprefix(PREFIX)


def is_base(data: bytes | None) -> bool:
    """True if a stored value may have a tail."""
    return data is not None and data.startswith(BASE)


def join(stored: bytes, tail: bytes | None) -> bytes:
    """Returns a base and its tail as one value; another stored value as it is, because a tail beside it is a remnant."""
    if tail is None or not stored.startswith(BASE):
        return stored
    return b"".join((JOINED, len(tail).to_bytes(_LENGTH), tail, stored))


def join_all(values: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns stored values joined with their tails."""
    return {key: join(data, values.get(tail_key(key))) for key, data in values.items() if not is_tail_key(key)}


def with_tails(keys: Iterable[str]) -> list[str]:
    """Returns these keys, each with the key of its tail."""
    return [stored for key in keys for stored in (key, tail_key(key))]


def removed(values: Mapping[str, bytes | None]) -> list[str]:
    """Returns the keys that a commit removes: those of None, and those of their tails."""
    keys = [key for key, data in values.items() if data is None]
    return list(dict.fromkeys([*keys, *(tail_key(key) for key in keys if not is_tail_key(key))]))


def split(data: bytes) -> Parts | None:
    """Returns the parts of a value; None if it is not in parts. Raises ValueError if they are damaged."""
    if data.startswith(BASE):
        return Parts(memoryview(data)[1:], None)
    if not data.startswith(JOINED):
        return None
    view, begin = memoryview(data), 1 + _LENGTH
    end = begin + int.from_bytes(view[1:begin])
    if not data.startswith(BASE, end):
        raise ValueError("a value in parts is damaged: no base follows its tail")
    return Parts(view[end + 1 :], view[begin:end])
