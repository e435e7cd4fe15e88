"""Fields of items as typed columns, built at first use, so that a filter is a few array operations.

A field has any number of values: none where it is missing, one, or those of a list. A value has up to three readings: a
text, a number and a moment. Each column stores the values of all items in flat arrays, with the owner of each value.
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

from models.structures.arrays import Bools, Doubles, Ints
from schemas.catalogue import Item

Path = tuple[str, ...]
_Row = tuple[float, float, int]
Text = str | bool
"""A value that is compared for equality: a case-folded text, or true or false."""

_OWN: Final = frozenset(
    {
        "title",
        "description",
        "categories",
        "tags",
        "price",
        "url",
        "image_url",
        "published_at",
        "available_from",
        "available_until",
    }
)
_COLUMNS: Final = 64
"""Number of cached columns; the least recently used are dropped, and rebuilt at their next use."""
_TABLES: Final = 64
_NO_TERM: Final = 0
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")


class Value(NamedTuple):
    """One value with its readings; None for a reading that it does not have. A moment is in seconds since 1970."""

    text: Text | None = None
    number: float | None = None
    moment: float | None = None
    exact: str | None = None
    """The text with its case, for ids."""


def values_of(raw: Any) -> tuple[Value, ...]:
    """The values of a JSON value: none of null and objects, several of a list."""
    if isinstance(raw, list | tuple):
        return tuple(value for member in raw if (value := _value(member)) is not None)
    value = _value(raw)
    return () if value is None else (value,)


def read_loosely(text: str) -> Value:
    """A parameter of a request, which is always text, with all the readings that it may have."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    folded = text.casefold()
    truth = {"true": True, "false": False}.get(folded, folded)
    return Value(truth, number if np.isfinite(number) else None, moment_of(text), text)


def moment_of(text: str) -> float | None:
    """A date or time (RFC 3339; UTC without a zone) in seconds since 1970; None for other text."""
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def dig(value: Any, path: Sequence[str]) -> Any:
    """The value at a path in nested objects; None if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _value(raw: Any) -> Value | None:
    if isinstance(raw, bool):
        return Value(raw)
    if isinstance(raw, int | float):
        return Value(number=float(raw))
    if isinstance(raw, datetime):
        return Value(moment=raw.timestamp())
    return Value(raw.casefold(), None, moment_of(raw), raw) if isinstance(raw, str) else None


class Column:
    """The values of one field over all items: owner, number, moment (NaN for none) and term, shape (E,) each."""

    def __init__(self, read: Callable[[int], Any], size: int, *, exact: bool = False) -> None:
        """``read`` returns the raw value of the item at a position. ``exact``: case matters."""
        self._read, self._exact = read, exact
        self._encoded: dict[str, _Row] = {}
        self._stale = set(range(size))
        self._terms: dict[Text, int] = {}
        self._tables: dict[tuple[str, Text], Bools] = {}
        self.owners: Ints = np.empty(0, np.int32)
        self.numbers: Doubles = np.empty(0)
        self.moments: Doubles = np.empty(0)
        self.terms: Ints = np.empty(0, np.int32)

    def touch(self, position: int) -> None:
        """Mark the item at this position as changed."""
        self._stale.add(position)

    def refresh(self, size: int) -> None:
        """Read the changed items again; ``size`` is the number of items in the catalogue."""
        if not self._stale:
            return
        stale = np.zeros(size, np.bool_)
        stale[list(self._stale)] = True
        unchanged = ~stale[self.owners]
        owners: list[int] = []
        numbers: list[float] = []
        moments: list[float] = []
        terms: list[int] = []
        for position in sorted(self._stale):
            raw = self._read(position)
            for member in raw if type(raw) in (list, tuple) else (raw,):
                row = self._row(member)
                if row is not None:
                    number, moment, term = row
                    owners.append(position)
                    numbers.append(number)
                    moments.append(moment)
                    terms.append(term)
        self._stale.clear()
        self.owners = np.append(self.owners[unchanged], np.array(owners, np.int32))
        self.numbers = np.append(self.numbers[unchanged], np.array(numbers, np.float64))
        self.moments = np.append(self.moments[unchanged], np.array(moments, np.float64))
        self.terms = np.append(self.terms[unchanged], np.array(terms, np.int32))

    def term(self, text: Text) -> int | None:
        """The code of a text; None if no item ever had it."""
        return self._terms.get(text)

    def having(self, codes: Sequence[int]) -> Bools:
        """True for the values whose text has one of these codes, shape (E,)."""
        if len(codes) == 1:
            only: Bools = self.terms == codes[0]
            return only
        table = np.zeros(len(self._terms) + 1, np.bool_)
        table[list(codes)] = True
        return table[self.terms]

    def matching(self, name: str, test: Callable[[str, str], bool], wanted: str) -> Bools:
        """True for the values whose text passes a test against ``wanted``, shape (E,); each distinct text is tested once."""
        table = self._tables.get((name, wanted), np.zeros(1, np.bool_))
        if table.size <= len(self._terms):
            untested = islice(self._terms, table.size - 1, None)
            results = [isinstance(text, str) and test(text, wanted) for text in untested]
            table = np.append(table, np.array(results, np.bool_))
            if len(self._tables) >= _TABLES:
                self._tables.clear()
            self._tables[name, wanted] = table
        return table[self.terms]

    def _row(self, raw: Any) -> _Row | None:
        """The number, moment and term of a raw value; None if it is no value. Equal texts are parsed once."""
        cached = self._encoded.get(raw) if isinstance(raw, str) else None
        if cached is not None:
            return cached
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
    """The columns of a catalogue, by the path that a filter names. Positions never change."""

    def __init__(self, ids: Sequence[str], items: Sequence[Item | None]) -> None:
        """``ids`` and ``items`` are lists that the catalogue extends. A caller that changes an item calls ``touch``."""
        self._ids, self._items = ids, items
        self._columns: OrderedDict[Path, Column] = OrderedDict()
        self._attributes: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def touch(self, position: int) -> None:
        """Mark the item at this position as new or changed."""
        item = self._items[position]
        if item is not None:
            self._attributes.update(item.attributes)
        for column in self._columns.values():
            column.touch(position)

    def values(self, path: Path, position: int) -> tuple[Value, ...]:
        """The values of a field of one item."""
        return values_of(self._reader(path)(position))

    def column(self, path: Path) -> Column:
        """The current column of a field: an own field of items, ``age`` (as moments), or an attribute."""
        column = self._columns.get(path)
        if column is None:
            # No item has this attribute: do not read them all.
            unknown = path[0] not in _OWN | {"item_id", "age"} and self._attribute(path)[0] not in self._attributes
            column = Column(self._reader(path), 0 if unknown else len(self), exact=path == ("item_id",))
            if unknown:
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

        def read(position: int) -> Any:
            item = self._items[position]
            if item is None:
                return None
            if name == "age":
                return item.published_at or item.first_at
            return dig(getattr(item, name), path[1:]) if name in _OWN else dig(item.attributes, keys)

        return read

    @staticmethod
    def _attribute(path: Path) -> Path:
        return path[1:] if path[0] == "attributes" and len(path) > 1 else path
