"""The packed form of a user's value, whole or in two parts.

A value that is large is stored as a base and a tail (``schemas.values.tails``). The base is the packed value as of an
earlier event. The tail holds what has changed since: new entries, searches and event ids, and the small fields as they are.
So an event of a user with a long history writes some hundred bytes instead of all of it. Both parts give the very value
that the fold gave. An event that removes history writes the value anew.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from schemas.errors import UNREADABLE
from schemas.values import tails
from signals import bloom
from signals.bloom import Bloom
from signals.users import DEDUPLICATION, EMPTY, HASH_BYTES, TERMS, Entry, Session, Term, UserValue, push, touch

TAIL_ENTRIES: Final = 64
"""Limit of entries in a tail. It bounds the time to join it, and is less than ``RECENT``: a value still has all of them."""


class Head(NamedTuple):
    """The offset and the links of a value."""

    offset: int
    links: tuple[str, ...]


class Basis(NamedTuple):
    """What is needed of a base to tell what has changed since."""

    offset: int
    last_hash: bytes
    """The newest hash of an event id."""
    last_term: Term | None
    links: tuple[str, ...]


class _Tail(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What has changed since the base at offset ``base``."""

    base: int
    offset: int
    links: tuple[str, ...]
    entries: tuple[Entry, ...]
    session: Session | None
    counters: dict[str, int]
    terms: tuple[Term, ...]
    """The new searches, and before them the last one of the base if it has changed."""
    id_hashes: bytes
    visits: int
    shown: tuple[int, ...]
    unlinked: bool
    """True if the entries are of events without ids, of which a value keeps no items."""


class _ValueHead(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first fields of a UserValue. The fields between its offset and its links stay packed."""

    offset: int = -1
    recent: msgspec.Raw = msgspec.Raw()
    session: msgspec.Raw = msgspec.Raw()
    seen: msgspec.Raw = msgspec.Raw()
    links: tuple[str, ...] = ()


class _TailHead(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first fields of a tail."""

    base: int
    offset: int
    links: tuple[str, ...]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(UserValue)
_TAIL_DECODER: Final = msgspec.msgpack.Decoder(_Tail)
_HEAD_DECODER: Final = msgspec.msgpack.Decoder(_ValueHead)
_TAIL_HEAD_DECODER: Final = msgspec.msgpack.Decoder(_TailHead)


def encode(value: UserValue) -> bytes:
    """Returns the value as bytes, whole. The same history gives the same bytes."""
    return _ENCODER.encode(value)


def encode_stored(value: UserValue) -> bytes | None:
    """Returns the bytes that the store keeps of a user; None if nothing is known, as after ``forget``: not even the id stays."""
    return None if value.session is None else _ENCODER.encode(value)


def decode(data: bytes | None) -> UserValue:
    """Returns the value that these bytes hold, whole or in parts; None gives the empty value.

    Raises UNREADABLE of ``schemas.errors``.
    """
    if data is None:
        return EMPTY
    value, _ = decode_with_basis(data)
    return value


def decode_with_basis(data: bytes) -> tuple[UserValue, Basis | None]:
    """Returns a value, and the basis of its base if it is in parts. Raises UNREADABLE."""
    parts = tails.split(data)
    value = _DECODER.decode(data if parts is None else parts.base)
    if not (_is_generation(value.past.newer) and _is_generation(value.past.older)):
        raise msgspec.ValidationError("the filter of past items has another size")
    if parts is None:
        return value, None
    return value if parts.tail is None else _join(value, _TAIL_DECODER.decode(parts.tail)), basis_of(value)


def head(data: bytes) -> Head:
    """Returns the head of a value. It takes a sixth of the time of ``decode``, or less. Raises UNREADABLE."""
    parts = tails.split(data)
    if parts is not None and parts.tail is not None:
        tail = _TAIL_HEAD_DECODER.decode(parts.tail)
        return Head(tail.offset, tail.links)
    value = _HEAD_DECODER.decode(data if parts is None else parts.base)
    return Head(value.offset, value.links)


def whole(data: bytes) -> bytes:
    """Returns the bytes of ``encode`` for a value that may be in parts; one that cannot be read stays as it is."""
    try:
        return data if tails.split(data) is None else encode(decode(data))
    except UNREADABLE:
        return data


def basis_of(base: UserValue) -> Basis:
    """Returns what is needed of a base to tell later what has changed since."""
    return Basis(base.offset, base.id_hashes[-HASH_BYTES:], base.terms[-1] if base.terms else None, base.links)


def encode_tail(value: UserValue, basis: Basis) -> bytes | None:
    """Returns the tail that leads from the base to this value; None if the base has to be written anew.

    No event since may have removed history (``users.removes_history``). A base with a link that the value has no longer
    must not stay: the guest may have been erased.
    """
    id_hashes = _hashes_after(value.id_hashes, basis.last_hash)
    begin = _begin(value.recent, basis.offset)
    if id_hashes is None or len(value.recent) - begin > TAIL_ENTRIES or not set(basis.links) <= set(value.links):
        return None
    tail = _Tail(
        base=basis.offset,
        offset=value.offset,
        links=value.links,
        entries=value.recent[begin:],
        session=value.session,
        counters=value.counters,
        terms=tuple([term for term in value.terms if _has_changed(term, basis)]),
        id_hashes=id_hashes,
        visits=value.visits,
        shown=value.shown,
        unlinked=begin < len(value.recent) and not value.seen,
    )
    return _ENCODER.encode(tail)


def _is_generation(bits: bytes) -> bool:
    return not bits or len(bits) == bloom.BITS // 8


def _begin(entries: tuple[Entry, ...], offset: int) -> int:
    """Returns the position of the first entry after an offset."""
    begin = len(entries)
    while begin and entries[begin - 1].offset > offset:
        begin -= 1
    return begin


def _hashes_after(hashes: bytes, last: bytes) -> bytes | None:
    """Returns the hashes after this one; None if it is no longer among them."""
    for end in range(len(hashes), 0, -HASH_BYTES):
        if hashes[end - HASH_BYTES : end] == last:
            return hashes[end:]
    return None


def _has_changed(term: Term, basis: Basis) -> bool:
    last = basis.last_term
    return term.offset > basis.offset or (last is not None and term.offset == last.offset and term != last)


def _join(base: UserValue, tail: _Tail) -> UserValue:
    if tail.base != base.offset:
        raise msgspec.ValidationError("the tail belongs to another base")
    recent, older = push(base.recent, base.older, tail.entries)
    seen, past = touch(base.seen, base.past, tail.entries)
    if tail.unlinked:
        older, seen, past = {}, {}, Bloom()
    return UserValue(
        offset=tail.offset,
        recent=recent,
        session=tail.session,
        seen=seen,
        links=tail.links,
        counters=tail.counters,
        terms=_joined_terms(base.terms, tail.terms),
        id_hashes=(base.id_hashes + tail.id_hashes)[-DEDUPLICATION * HASH_BYTES :],
        older=older,
        past=past,
        visits=tail.visits,
        shown=tail.shown,
    )


def _joined_terms(base: tuple[Term, ...], changed: tuple[Term, ...]) -> tuple[Term, ...]:
    if not changed:
        return base
    unchanged = base[:-1] if base and base[-1].offset == changed[0].offset else base
    return (*unchanged, *changed)[-TERMS:]
