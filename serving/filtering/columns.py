"""One field of all items as typed arrays, made in steps, so that a filter is a few array operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from models.structures.arrays import Bools, Doubles, Ints
from serving.filtering.values import Text, Value, value_of

T = TypeVar("T")
Steps = Generator[bool, None, T]
"""Work in steps of about a millisecond. A step gives True where it only waits for the same work of another request."""

ITEMS: Final = 1_000
"""Items that are read in one step."""
TEXTS: Final = 4_000
"""Distinct texts that are tested in one step."""
_TABLES: Final = 64
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


def joined(parts: Sequence[Entries]) -> Entries:
    """All values of these parts."""
    return Entries(*map(np.concatenate, zip(*parts, strict=True)))


class Column:
    """The values of one field; ``entries`` is replaced as a whole, so one who holds it sees one state."""

    def __init__(self, read: Callable[[int], Any], size: int, *, exact: bool = False) -> None:
        """``read`` returns the raw value of the item at a position. ``exact``: case matters."""
        self._read, self._exact = read, exact
        self._encoded: dict[str, tuple[float, float, int]] = {}
        self._stale: dict[int, int] = dict.fromkeys(range(size), 0)
        """The positions to read again, each with the number of the reading that it was touched in."""
        self._reading = 0
        self._is_read = False
        self._terms: dict[Text, int] = {}
        self._texts: list[Text] = []
        self._tables: dict[tuple[str, Text], Bools] = {}
        self.entries = Entries.of(())

    @property
    def is_wasteful(self) -> bool:
        """Whether it holds far more texts than its items have: each text that an item ever had."""
        return len(self._texts) > 2 * self.entries.terms.size + _SPARE_TEXTS

    def touch(self, position: int) -> None:
        """Mark the item at this position as changed."""
        self._stale[position] = self._reading

    def refresh(self) -> None:
        """Read the changed items again."""
        while self._stale:
            self._is_read = False  # this reads them now, whoever else is about to
            for _ in self.refresh_steps():
                pass

    def refresh_steps(self) -> Steps[None]:
        """As ``refresh``, in steps; while another request does the same, this one waits."""
        while self._is_read:
            yield True
        if not self._stale:
            return
        self._reading, self._is_read = self._reading + 1, True
        reading = self._reading
        try:
            yield from self._read_stale(reading)
        finally:
            if self._reading == reading:
                self._is_read = False

    def _read_stale(self, reading: int) -> Steps[None]:
        positions = sorted(self._stale)
        parts: list[Entries] = []
        for begin in range(0, len(positions), ITEMS):
            if begin:
                yield False
            if self._reading != reading:
                return  # somebody could not wait, and has read them all
            parts.append(Entries.of(list(self._rows(positions[begin : begin + ITEMS]))))
        stale = np.zeros(1 + max(positions[-1], int(self.entries.owners.max(initial=-1))), np.bool_)
        stale[positions] = True
        self.entries = joined([self.entries.where(~stale[self.entries.owners]), *parts])
        self._stale = {position: touched for position, touched in self._stale.items() if touched >= reading}

    def _rows(self, positions: Sequence[int]) -> Generator[_Row, None, None]:
        for position in positions:
            raw = self._read(position)
            for member in raw if type(raw) in (list, tuple) else (raw,):
                readings = self._readings(member)
                if readings is not None:
                    yield position, *readings

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
        table = self._tables.get((name, wanted), np.zeros(1, np.bool_))
        while table.size <= len(self._texts):
            untested = self._texts[table.size - 1 : table.size - 1 + TEXTS]
            results = [isinstance(text, str) and test(text, wanted) for text in untested]
            table = np.append(table, np.array(results, np.bool_))
            self._remember(name, wanted, table)
            yield False
        return table[terms]

    def _remember(self, name: str, wanted: str, table: Bools) -> None:
        if (name, wanted) not in self._tables and len(self._tables) >= _TABLES:
            del self._tables[next(iter(self._tables))]
        self._tables[name, wanted] = table

    def _readings(self, raw: Any) -> tuple[float, float, int] | None:
        """The number, moment and term of a raw value; None if it is no value. Equal texts are parsed once."""
        cached = self._encoded.get(raw) if isinstance(raw, str) else None
        if cached is not None:
            return cached
        if type(raw) is float:
            return raw, math.nan, _NO_TERM
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
        if code is None:
            self._texts.append(text)
            code = self._terms[text] = len(self._texts)
        return code
