"""The compact form of a user's value: what ranking reads of it, in a third of the bytes, for decision records.

It leaves out what only folding reads: the hashes of event ids, and the offsets of impressions. Entries are stored by column,
offsets and times as differences, and ``seen`` without the items that the recent entries tell again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import msgspec

from signals import user_codec
from signals.bloom import Bloom
from signals.users import Entry, Session, Term, UserValue

_MARK: Final = b"\xc1"
"""First byte of the compact form; no MessagePack value begins so."""
_MILLISECONDS: Final = 1_000
_NO_OFFSETS: Final[tuple[int, ...]] = ()


class _Entries(msgspec.Struct, array_like=True, gc=False):
    """Entries by column, in the order of Entry's fields. A column of equal values holds one of them."""

    offsets: list[int] = []
    """The first one, and then the differences."""
    times: list[float] = []
    """The first one, and then the differences, in ``1 / scale`` seconds; as they are where ``scale`` is 0."""
    scale: int = 0
    types: list[str] = []
    items: list[str] = []
    values: list[float | None] = []
    id_hashes: list[bytes] = []
    """Empty where the value is read without those of others."""
    sessions: list[bytes] = []
    """Each session once."""
    session_positions: list[int] = []
    groups: list[bytes] = []
    positions: list[int | None] = []
    contexts: list[tuple[str, ...]] = []
    scrolls: list[float | None] = []


class _Compact(msgspec.Struct, array_like=True, gc=False):
    """A user's value."""

    offset: int
    recent: _Entries
    session: Session | None
    seen: dict[str, float]
    """If ``seen_in_recent``, without the items of ``recent``, which are the last ones then."""
    seen_in_recent: bool
    links: tuple[str, ...]
    counters: dict[str, int]
    terms: tuple[Term, ...]
    older: dict[str, _Entries]
    past: Bloom
    visits: int


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Compact)


def compact(data: bytes, *, alone: bool) -> bytes:
    """Returns the compact form of a packed value (``user_codec.encode``).

    ``alone``: the value is read without those of other users, so that no event can be in two histories.
    """
    value = user_codec.decode(data)
    seen_in_recent, seen = _older_seen(value)
    packed = _Compact(
        offset=value.offset,
        recent=_columns(value.recent, alone=alone),
        session=value.session,
        seen=seen,
        seen_in_recent=seen_in_recent,
        links=value.links,
        counters=value.counters,
        terms=tuple([msgspec.structs.replace(term, id_hash=b"") for term in value.terms]),
        older={type_: _columns(entries, alone=alone) for type_, entries in value.older.items()},
        past=value.past,
        visits=value.visits,
    )
    return _MARK + _ENCODER.encode(packed)


def expand(data: bytes) -> UserValue:
    """Returns the value of a compact or a packed form. Raises msgspec.DecodeError."""
    if not data.startswith(_MARK):
        return user_codec.decode(data)
    packed = _DECODER.decode(memoryview(data)[1:])
    recent = _entries(packed.recent)
    return UserValue(
        offset=packed.offset,
        recent=recent,
        session=packed.session,
        seen={**packed.seen, **_last_touched(recent)} if packed.seen_in_recent else packed.seen,
        links=packed.links,
        counters=packed.counters,
        terms=packed.terms,
        older={type_: _entries(entries) for type_, entries in packed.older.items()},
        past=packed.past,
        visits=packed.visits,
        shown=_NO_OFFSETS,
    )


def _last_touched(entries: Sequence[Entry]) -> dict[str, float]:
    """The items of these entries with the times of their last ones, in the order of those."""
    touched: dict[str, float] = {}
    for entry in entries:
        touched.pop(entry.item, None)
        touched[entry.item] = entry.at
    return touched


def _older_seen(value: UserValue) -> tuple[bool, dict[str, float]]:
    """Whether the newest seen items are those of the recent entries, and the other ones."""
    seen, touched = list(value.seen.items()), list(_last_touched(value.recent).items())
    older = len(seen) - len(touched)
    if older < 0 or seen[older:] != touched:
        return False, value.seen
    return True, dict(seen[:older])


def _columns(entries: Sequence[Entry], *, alone: bool) -> _Entries:
    if not entries:
        return _Entries()
    columns = [list(column) for column in zip(*map(msgspec.structs.astuple, entries), strict=True)]
    offsets, types, items, times, values, id_hashes, sessions, groups, positions, contexts, scrolls = columns
    stored_times, scale = _short_times(times)
    table = {session: number for number, session in enumerate(dict.fromkeys(sessions))}
    return _Entries(
        offsets=_differences(offsets),
        times=stored_times,
        scale=scale,
        types=_short(types),
        items=_short(items),
        values=_short(values),
        id_hashes=[] if alone else id_hashes,
        sessions=list(table),
        session_positions=_short([table[session] for session in sessions]),
        groups=_short(groups),
        positions=_short(positions),
        contexts=_short(contexts),
        scrolls=_short(scrolls),
    )


def _entries(columns: _Entries) -> tuple[Entry, ...]:
    offsets = list(accumulate(columns.offsets))
    count = len(offsets)
    times = [time / columns.scale for time in accumulate(columns.times)] if columns.scale else columns.times
    # Where hashes were left out, offsets tell the events of this one history apart.
    id_hashes = columns.id_hashes or [offset.to_bytes(8, signed=True) for offset in offsets]
    rest = (columns.groups, columns.positions, columns.contexts, columns.scrolls)
    sessions = [columns.sessions[position] for position in _long(columns.session_positions, count)]
    first = (_long(column, count) for column in (columns.types, columns.items))
    values = _long(columns.values, count)
    rows = zip(
        offsets, *first, times, values, id_hashes, sessions, *(_long(column, count) for column in rest), strict=True
    )
    return tuple([Entry(*row) for row in rows])


def _short_times(times: list[float]) -> tuple[list[float], int]:
    """The times as differences in milliseconds, and how many of those a second has; as they are, and 0, if that lost something."""
    whole = [round(time * _MILLISECONDS) for time in times]
    if all(milliseconds / _MILLISECONDS == time for milliseconds, time in zip(whole, times, strict=True)):
        return list(_differences(whole)), _MILLISECONDS
    return times, 0


def _differences(numbers: list[int]) -> list[int]:
    return [numbers[0], *(after - before for before, after in pairwise(numbers))]


def _short(column: list[Any]) -> list[Any]:
    """The column, or one value of it where all are equal."""
    return column if column.count(column[0]) < len(column) else column[:1]


def _long(column: list[Any], count: int) -> list[Any]:
    """The column of so many values that ``_short`` made shorter."""
    return column * count if len(column) == 1 < count else column
