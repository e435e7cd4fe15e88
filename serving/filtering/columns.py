"""One field of all items as typed arrays, made in steps, so that a filter is a few array operations.

A step may run on another thread than the one that evaluates filters: texts get their codes under a lock, and what was
read is taken over as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from sys import getsizeof
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from models.structures.arrays import Bools, Doubles, Ints
from serving.filtering.values import Text, Value, value_of
from serving.sized_cache import MIB, SizedCache

T = TypeVar("T")
Steps = Generator[bool, None, T]
"""Work in steps of about a millisecond. A step gives True where it only waits for the same work of another request."""

ITEMS: Final = 1_000
"""Items that are read in one step."""
TEXTS: Final = 4_000
"""Distinct texts that are tested in one step."""
_TABLES: Final = 64
_TABLE_BYTES: Final = 8 * MIB
"""Memory of one column for the results of tests of its texts."""
_TEXT_BYTES: Final = 130
"""What a distinct text takes beside itself: its code, and its places in a dict and a list."""
_COLUMN_BYTES: Final = 4_000
_STALE_BYTES: Final = 100
_SPARE_TEXTS: Final = 10_000
"""Texts that no item has any more, and that a column may hold all the same."""
_NO_TERM: Final = 0
_Row = tuple[int, float, float, int]
"""Owner, number, moment and term of a value."""


class Entries(NamedTuple):
    """The values of one field over all items: owner, number, moment (NaN for none) and term, shape (E,) each."""

    owners: Ints
    numbers: Doubles
    moments: Doubles
    terms: Ints

    @classmethod
    def of(cls, rows: Sequence[_Row]) -> Entries:
        """The arrays of these rows."""
        owners, numbers, moments, terms = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(
            np.array(owners, np.int32),
            np.array(numbers, np.float64),
            np.array(moments, np.float64),
            np.array(terms, np.int32),
        )

    def where(self, chosen: Bools) -> Entries:
        """The chosen ones of these values."""
        return Entries(self.owners[chosen], self.numbers[chosen], self.moments[chosen], self.terms[chosen])


class Reading(NamedTuple):
    """The positions (ascending) of items that are read now, and the number of this reading."""

    positions: Sequence[int]
    number: int


def joined(parts: Sequence[Entries]) -> Entries:
    """All values of these parts."""
    return Entries(*map(np.concatenate, zip(*parts, strict=True)))


class Column:
    """The values of one field; ``entries`` is replaced as a whole, so one who holds it sees one state."""

    def __init__(self, read: Callable[[int], Any], size: int, *, exact: bool = False) -> None:
        """``read`` returns the raw value of the item at a position. ``exact``: case matters."""
        self._read, self._exact = read, exact
        self._encoded: dict[str, tuple[float, float, int]] = {}
        self._unread = size
        """The items at the first so many positions have never been read."""
        self._stale: dict[int, int] = {}
        """The positions to read again, each with the number of the reading that it was touched in."""
        self._reading = 0
        self._is_read = False
        self._terms: dict[Text, int] = {}
        self._texts: list[Text] = []
        self._text_bytes = 0
        self._coding = Lock()
        self._tables = SizedCache[tuple[str, Text], Bools](_TABLE_BYTES, _TABLES)
        self.entries = Entries.of(())

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        values = sum(part.nbytes for part in self.entries)
        return _COLUMN_BYTES + self.text_size + values + self._tables.size + _STALE_BYTES * len(self._stale)

    @property
    def text_size(self) -> int:
        """Bytes of the distinct texts, about."""
        return _TEXT_BYTES * len(self._texts) + self._text_bytes

    @property
    def is_new(self) -> bool:
        """Whether it has not been read at all, though there are items."""
        return self._unread > 0

    @property
    def stale(self) -> int:
        """Number of items that are to be read."""
        return self._unread + len(self._stale)

    @property
    def is_wasteful(self) -> bool:
        """Whether it holds far more texts than its items have: each text that an item ever had."""
        return len(self._texts) > 2 * self.entries.terms.size + _SPARE_TEXTS

    def touch(self, position: int) -> None:
        """Mark the item at this position as changed."""
        self._stale[position] = self._reading

    def refresh(self) -> None:
        """Read the changed items again."""
        while self.stale:
            self._is_read = False  # this reads them now, whoever else is about to
            for _ in self.refresh_steps():
                pass

    def refresh_steps(self) -> Steps[None]:
        """As ``refresh``, in steps; while another request does the same, this one waits."""
        while self._is_read:
            yield True
        if not self.stale:
            return
        reading = self.begin()
        parts: list[Entries] = []
        try:
            for begin in range(0, len(reading.positions), ITEMS):
                if begin:
                    yield False
                if self._reading != reading.number:
                    return  # somebody could not wait, and has read them all
                parts.append(self.read(reading.positions[begin : begin + ITEMS]))
            self.take_over(reading, self.merged(reading, parts))
        finally:
            self.end(reading)

    def begin(self) -> Reading:
        """Begin to read the changed items. Follow with ``read``, ``take_over`` and, in any case, ``end``."""
        self._reading, self._is_read = self._reading + 1, True
        changed = sorted(position for position in self._stale if position >= self._unread)
        unread = range(self._unread)
        return Reading([*unread, *changed] if changed else unread, self._reading)

    def read(self, positions: Sequence[int]) -> Entries:
        """The values of the items at these positions, as they are now; any thread may call it."""
        return Entries.of(self._rows(positions))

    def merged(self, reading: Reading, parts: Sequence[Entries]) -> Entries:
        """All values, with those that were read; any thread may call it."""
        stale = np.zeros(1 + max(*reading.positions[-1:], int(self.entries.owners.max(initial=-1))), np.bool_)
        stale[np.fromiter(reading.positions, np.int64, len(reading.positions))] = True
        return joined([self.entries.where(~stale[self.entries.owners]), *parts])

    def take_over(self, reading: Reading, entries: Entries) -> None:
        """Adopt what was read, unless a later reading has begun."""
        if self._reading == reading.number:
            self.entries, self._unread = entries, 0
            self._stale = {position: touched for position, touched in self._stale.items() if touched >= reading.number}

    def end(self, reading: Reading) -> None:
        """Let the next one read, whether this reading was taken over or not."""
        self._encoded.clear()
        if self._reading == reading.number:
            self._is_read = False

    def _rows(self, positions: Sequence[int]) -> list[_Row]:
        read, rows = self._read, list[_Row]()
        for position in positions:
            raw = read(position)
            kind = raw.__class__
            if kind is float or kind is int:
                rows.append((position, float(raw), math.nan, _NO_TERM))
            elif raw is not None:
                for member in raw if kind is list or kind is tuple else (raw,):
                    readings = self._readings(member)
                    if readings is not None:
                        rows.append((position, *readings))
        return rows

    def term(self, text: Text) -> int | None:
        """The code of a text; None if no item ever had it."""
        return self._terms.get(text)

    def having(self, codes: Sequence[int], terms: Ints) -> Bools:
        """True for the values, by their terms (E,), whose text has one of these codes."""
        if len(codes) == 1:
            only: Bools = terms == codes[0]
            return only
        table = np.zeros(len(self._terms) + 1, np.bool_)
        table[list(codes)] = True
        return table[terms]

    def matching(self, name: str, test: Callable[[str, str], bool], wanted: str, terms: Ints) -> Steps[Bools]:
        """True for the values, by their terms (E,), whose text passes a test; each distinct text is tested once, some a step."""
        remembered = self._tables.get((name, wanted))
        table = np.zeros(1, np.bool_) if remembered is None else remembered
        while table.size <= len(self._texts):
            untested = self._texts[table.size - 1 : table.size - 1 + TEXTS]
            results = [isinstance(text, str) and test(text, wanted) for text in untested]
            table = np.append(table, np.array(results, np.bool_))
            self._tables.put((name, wanted), table, table.nbytes + len(wanted))
            yield False
        return table[terms]

    def _readings(self, raw: Any) -> tuple[float, float, int] | None:
        """The number, moment and term of a raw value; None if it is no value. Equal texts are parsed once."""
        cached = self._encoded.get(raw) if isinstance(raw, str) else None
        if cached is not None:
            return cached
        if type(raw) is float or type(raw) is int:
            return float(raw), math.nan, _NO_TERM
        value = raw if isinstance(raw, Value) else value_of(raw)
        if value is None:
            return None
        readings = (
            math.nan if value.number is None else value.number,
            math.nan if value.moment is None else value.moment,
            self._code(value.exact if self._exact else value.text),
        )
        if isinstance(raw, str):
            self._encoded[raw] = readings
        return readings

    def _code(self, text: Text | None) -> int:
        if text is None:
            return _NO_TERM
        code = self._terms.get(text)
        return self._new_code(text) if code is None else code

    def _new_code(self, text: Text) -> int:
        with self._coding:
            if text not in self._terms:
                self._texts.append(text)
                self._text_bytes += getsizeof(text)
                self._terms[text] = len(self._texts)
            return self._terms[text]
