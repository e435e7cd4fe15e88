"""Fields of items as typed columns, made when first asked for, so that a filter is a few array operations.

A field holds any number of values: none where it is missing, one, or a list's. A value has up to three readings, a
text, a number and a moment, and each column keeps all its items' values in one flat table with an owner each.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints
from schemas.catalogue import Item

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Path = tuple[str, ...]
_Row = tuple[float, float, int]
Text = str | bool
"""What is compared for being the same: a text, its case folded, or true and false."""

_OWN: Final = frozenset(
    {"title", "description", "categories", "tags", "price", "published_at", "available_from", "available_until"}
)
_COLUMNS: Final = 64
"""Columns kept; those asked for longest ago are dropped, and made again when asked for."""
_TABLES: Final = 64
_NO_TERM: Final = 0
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")


class Value(NamedTuple):
    """One value with its readings; what it cannot be read as is None. A moment is in seconds since 1970."""

    text: Text | None = None
    number: float | None = None
    moment: float | None = None
    exact: str | None = None
    """The text as it was written, for ids."""


def values_of(raw: Any) -> tuple[Value, ...]:
    """The values in what JSON holds: none in null and objects, several in a list."""
    if isinstance(raw, list | tuple):
        return tuple(value for each in raw if (value := _value(each)) is not None)
    value = _value(raw)
    return () if value is None else (value,)


def read_loosely(text: str) -> Value:
    """A parameter of a request, which is text only, with everything that it may stand for."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    folded = text.casefold()
    truth = {"true": True, "false": False}.get(folded, folded)
    return Value(truth, number if np.isfinite(number) else None, moment_of(text), text)


def moment_of(text: str) -> float | None:
    """A date or time (RFC 3339; UTC where it names no zone) in seconds since 1970; None for other text."""
    if not _DATE.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def dig(found: Any, path: Sequence[str]) -> Any:
    """What stands at a path in nested objects; None where there is nothing."""
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _value(raw: Any) -> Value | None:
    if isinstance(raw, bool):
        return Value(raw)
    if isinstance(raw, int | float):
        return Value(number=float(raw))
    if isinstance(raw, datetime):
        return Value(moment=raw.timestamp())
    return Value(raw.casefold(), None, moment_of(raw), raw) if isinstance(raw, str) else None


class Column:
    """All items' values of one field: E values with owner, number, moment (NaN for none) and term, shape (E,) each."""

    def __init__(self, read: Callable[[int], Any], size: int, *, exact: bool = False) -> None:
        """``read`` gives what stands at a position; every one is read when first needed. ``exact``: case counts."""
        self._read, self._exact = read, exact
        self._encoded: dict[str, _Row] = {}
        self._stale = set(range(size))
        self._terms: dict[Text, int] = {}
        self._tables: dict[tuple[str, Text], Bools] = {}
        self.owners: Ints = np.empty(0, np.int32)
        self.numbers: Doubles = np.empty(0)
        self.moments: Doubles = np.empty(0)
        self.terms: Ints = np.empty(0, np.int32)

    def touch(self, at: int) -> None:
        """The item at a position has changed."""
        self._stale.add(at)

    def refresh(self, size: int) -> None:
        """Read anew what has changed; ``size`` is that of the catalogue."""
        if not self._stale:
            return
        stale = np.zeros(size, np.bool_)
        stale[list(self._stale)] = True
        kept = ~stale[self.owners]
        owners: list[int] = []
        numbers: list[float] = []
        moments: list[float] = []
        terms: list[int] = []
        for at in sorted(self._stale):
            raw = self._read(at)
            for each in raw if type(raw) in (list, tuple) else (raw,):
                row = self._row(each)
                if row is not None:
                    number, moment, term = row
                    owners.append(at)
                    numbers.append(number)
                    moments.append(moment)
                    terms.append(term)
        self._stale.clear()
        self.owners = np.append(self.owners[kept], np.array(owners, np.int32))
        self.numbers = np.append(self.numbers[kept], np.array(numbers, np.float64))
        self.moments = np.append(self.moments[kept], np.array(moments, np.float64))
        self.terms = np.append(self.terms[kept], np.array(terms, np.int32))

    def term(self, text: Text) -> int | None:
        """The code of a text; None where no item ever had it."""
        return self._terms.get(text)

    def having(self, codes: Sequence[int]) -> Bools:
        """Which values' texts have one of these codes, shape (E,)."""
        if len(codes) == 1:
            only: Bools = self.terms == codes[0]
            return only
        table = np.zeros(len(self._terms) + 1, np.bool_)
        table[list(codes)] = True
        return table[self.terms]

    def matching(self, name: str, test: Callable[[str, str], bool], wanted: str) -> Bools:
        """Which values' texts pass a test against ``wanted``, shape (E,); a text is tested once, whoever holds it."""
        table = self._tables.get((name, wanted), np.zeros(1, np.bool_))
        if table.size <= len(self._terms):
            missing = islice(self._terms, table.size - 1, None)
            more = [isinstance(text, str) and test(text, wanted) for text in missing]
            table = np.append(table, np.array(more, np.bool_))
            if len(self._tables) >= _TABLES:
                self._tables.clear()
            self._tables[name, wanted] = table
        return table[self.terms]

    def _row(self, raw: Any) -> _Row | None:
        """A value's number, moment and term; None where there is no value. Equal texts are read once."""
        kept = self._encoded.get(raw) if isinstance(raw, str) else None
        if kept is not None:
            return kept
        if type(raw) is float:
            return raw, math.nan, _NO_TERM
        value = raw if isinstance(raw, Value) else _value(raw)
        if value is None:
            return None
        text = value.exact if self._exact else value.text
        term = _NO_TERM if text is None else self._terms.setdefault(text, len(self._terms) + 1)
        row = (
            math.nan if value.number is None else value.number,
            math.nan if value.moment is None else value.moment,
            term,
        )
        if isinstance(raw, str):
            self._encoded[raw] = row
        return row


class Fields:
    """The columns of a catalogue, by the path that a filter names. Positions never move."""

    def __init__(self, ids: Sequence[str], items: Sequence[Item | None]) -> None:
        """Both grow as the catalogue does; whoever changes an item calls ``touch``."""
        self._ids, self._items = ids, items
        self._columns: OrderedDict[Path, Column] = OrderedDict()
        self._attributes: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def touch(self, at: int) -> None:
        """The item at a position has come or changed."""
        item = self._items[at]
        if item is not None:
            self._attributes.update(item.attributes)
        for column in self._columns.values():
            column.touch(at)

    def values(self, path: Path, at: int) -> tuple[Value, ...]:
        """One item's values of a field."""
        return values_of(self._reader(path)(at))

    def column(self, path: Path) -> Column:
        """A field's column as things stand now: an item's own field, ``age`` (moments), or an attribute."""
        column = self._columns.get(path)
        if column is None:
            # An attribute that no item has is not looked for in each.
            empty = path[0] not in _OWN | {"item_id", "age"} and self._attribute(path)[0] not in self._attributes
            column = Column(self._reader(path), 0 if empty else len(self), exact=path == ("item_id",))
            if empty:
                return column
            self._columns[path] = column
            if len(self._columns) > _COLUMNS:
                self._columns.popitem(last=False)
        self._columns.move_to_end(path)
        column.refresh(len(self))
        return column

    def _reader(self, path: Path) -> Callable[[int], Any]:
        if path == ("item_id",):
            return self._ids.__getitem__
        name, keys = path[0], self._attribute(path)

        def read(at: int) -> Any:
            item = self._items[at]
            if item is None:
                return None
            if name == "age":
                return item.published_at or item.first_at
            return dig(getattr(item, name), path[1:]) if name in _OWN else dig(item.attributes, keys)

        return read

    @staticmethod
    def _attribute(path: Path) -> Path:
        return path[1:] if path[0] == "attributes" and len(path) > 1 else path
