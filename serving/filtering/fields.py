"""Fields of items as typed columns, built at first use, so that a filter is a few array operations.

A field has any number of values: none where it is missing, one, or those of a list. Only fields that items are declared
to have, or that some item has, get a column: a filter can name any number of others.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

from models.structures.arrays import Bools
from schemas.catalogue import Item, ItemFields
from schemas.http.problems import ProblemError
from serving.filtering.columns import Column, Steps
from serving.filtering.values import Value, dig, values_of
from serving.sized_cache import MIB, SizedCache

Path = tuple[str, ...]
Shape = tuple[str | Path, ...]
"""The names of an item's attributes, and the paths of nested ones."""

_OWN: Final = frozenset(ItemFields.model_fields) - {"hidden", "attributes"}
_DECLARED: Final = _OWN | {"item_id", "age"}
_ATTRIBUTES: Final = "attributes"
COLUMN_BYTES: Final = 256 * MIB
_COLUMNS: Final = 64
"""Number of cached columns: each change of an item is read for each of them."""
_REFRESHED: Final = 10_000
"""Number of changed items that a request reads itself, in turns with others; more are read aside."""
_REFUSED_CHANGES: Final = 1_000
"""Number of changes of items after which a column that was too large is tried again."""
_RESULT_BYTES: Final = 32 * MIB
_KEY_BYTES: Final = 3_000
"""A remembered result without its values: at most the text of its filter."""


_NO_SHAPE: Final[Shape] = ()


class FieldNotReady(ProblemError):
    """The column of a field was let go since it was read, or many items have changed."""

    def __init__(self, path: Path) -> None:
        detail = (
            f"the field {'.'.join(path)} is not in memory now: it is being read, or others took its place"
            " (FRESHET_FILTER_COLUMNS_MIB); send the request again"
        )
        super().__init__(503, "busy", detail, field="filter", headers={"Retry-After": "1"})


class Results:
    """Results of whole filters, for one version of the fields."""

    def __init__(self) -> None:
        self._version = -1
        self._results = SizedCache[Hashable, Bools](_RESULT_BYTES)

    def get(self, key: Hashable, version: int) -> Bools | None:
        """The result of this filter; None if there is none of this version."""
        return self._results.get(key) if version == self._version else None

    def put(self, key: Hashable, version: int, matches: Bools) -> None:
        """Remember a result, and forget those of other versions."""
        if version != self._version:
            self._version = version
            self._results.clear()
        matches.flags.writeable = False
        self._results.put(key, matches, matches.nbytes + _KEY_BYTES)


class Fields:
    """The columns of a catalogue, by the path that a filter names."""

    def __init__(self, ids: Sequence[str], items: Sequence[Item | None], limit: int = COLUMN_BYTES) -> None:
        """``ids`` and ``items`` are lists that the catalogue extends. A caller that changes an item calls ``touch``.

        ``limit`` is the memory of all columns in bytes; the least recently used ones are dropped.
        """
        self._ids, self._items = ids, items
        self.limit = limit
        self.is_read_aside = False
        """True if another thread reads new columns, as a server needs it. Otherwise filters read them where they are evaluated."""
        self._refused: dict[Path, int] = {}
        """Columns that were too large, by the version at which that was found out."""
        self._columns: OrderedDict[Path, Column] = OrderedDict()
        self._shape_of: dict[int, Shape] = {}
        self._shapes: dict[Shape, tuple[Shape, int]] = {}
        """The one copy of each shape, and the number of its items. Most items of a site have one of a few."""
        self._observed: Counter[Path] = Counter()
        """By path of an attribute, how many shapes have it."""
        self.version = 0
        """Number of changes so far."""
        self.results = Results()

    def __len__(self) -> int:
        return len(self._ids)

    def touch(self, position: int) -> None:
        """Mark the item at this position as new or changed."""
        self.version += 1
        self._observe(position)
        for column in self._columns.values():
            column.touch(position)

    def values(self, path: Path, position: int) -> tuple[Value, ...]:
        """The values of a field of one item."""
        return values_of(self._reader(path)(position))

    def is_known(self, path: Path) -> bool:
        """Whether every item has this field (an own field, ``age``, ``item_id``), or some item has this attribute."""
        return (path[0] in _DECLARED and len(path) == 1) or self._attribute(path) in self._observed

    def is_ready(self, path: Path) -> bool:
        """Whether a filter can read this field at next to no cost."""
        if not self.is_known(path):
            return True
        column = self._columns.get(self.name(path))
        return column is not None and not (column.is_new or column.is_wasteful or column.stale > _REFRESHED)

    def is_refused(self, path: Path) -> bool:
        """Whether the column of this field was found to be larger than the limit."""
        refused_at = self._refused.get(self.name(path))
        return refused_at is not None and self.version - refused_at < _REFUSED_CHANGES

    def refuse(self, path: Path) -> None:
        """Let go of a column that is larger than the limit."""
        self._refused[self.name(path)] = self.version
        self._columns.pop(self.name(path), None)

    @property
    def size(self) -> int:
        """Bytes of all columns, about."""
        return sum(column.size for column in self._columns.values())

    def fit(self) -> None:
        """Drop the columns beyond the limits, the least recently used ones first; the one that was used last stays."""
        size = self.size
        while len(self._columns) > 1 and (size > self.limit or len(self._columns) > _COLUMNS):
            size -= self._columns.popitem(last=False)[1].size

    def column(self, path: Path) -> Column:
        """The current column of a field: an own field of items, ``age`` (as moments), or an attribute; empty if no item has it."""
        column = self.unread_column(path)
        column.refresh()
        return column

    def column_steps(self, path: Path) -> Steps[Column]:
        """As ``column``, in steps; raises FieldNotReady where it is to be read aside."""
        if self.is_read_aside and not self.is_ready(path):
            raise FieldNotReady(path)
        column = self.unread_column(path)
        yield from column.refresh_steps()
        return column

    def unread_column(self, path: Path) -> Column:
        """The column of a field as it is: a new one is empty."""
        if not self.is_known(path):
            return Column(self._reader(path), 0)
        name = self.name(path)
        column = self._columns.get(name)
        if column is None or column.is_wasteful:
            column = self._columns[name] = Column(self._reader(path), len(self), exact=path == ("item_id",))
        self._columns.move_to_end(name)
        self.fit()
        return column

    def _observe(self, position: int) -> None:
        item = self._items[position]
        shape = _shape(item.attributes) if item is not None else _NO_SHAPE
        before = self._shape_of.get(position, _NO_SHAPE)
        if shape == before:
            return
        self._shape_of[position] = self._begin(shape)
        self._end(before)

    def _begin(self, shape: Shape) -> Shape:
        """One more item has this shape; returns the one copy of it that is kept."""
        kept, items = self._shapes.get(shape, (shape, 0))
        self._shapes[kept] = kept, items + 1
        if not items:
            self._observed.update(map(_path, kept))
        return kept

    def _end(self, shape: Shape) -> None:
        """One item less has this shape; with the last one, its attributes may become unknown."""
        if not shape:
            return
        kept, items = self._shapes[shape]
        self._shapes[shape] = kept, items - 1
        if items > 1:
            return
        del self._shapes[shape]
        for path in map(_path, shape):
            self._observed[path] -= 1
            if not self._observed[path]:
                del self._observed[path]

    def _reader(self, path: Path) -> Callable[[int], Any]:
        if path == ("item_id",):
            return lambda position: self._ids[position] or None
        name, keys = path[0], self._attribute(path)
        if name not in _DECLARED and len(keys) == 1:
            return self._attribute_reader(keys[0])

        def read(position: int) -> Any:
            item = self._items[position]
            if item is None:
                return None
            if name == "age":
                return item.published_at or item.first_at
            return dig(getattr(item, name), path[1:]) if name in _OWN else dig(item.attributes, keys)

        return read

    def _attribute_reader(self, name: str) -> Callable[[int], Any]:
        items = self._items

        def read(position: int) -> Any:
            item = items[position]
            return None if item is None else item.attributes.get(name)

        return read

    def name(self, path: Path) -> Path:
        """One name for the two that an attribute has."""
        return path if path[0] in _DECLARED else (_ATTRIBUTES, *self._attribute(path))

    @staticmethod
    def _attribute(path: Path) -> Path:
        return path[1:] if path[0] == _ATTRIBUTES and len(path) > 1 else path


def _path(part: str | Path) -> Path:
    return part if isinstance(part, tuple) else (part,)


def _shape(attributes: Mapping[str, Any]) -> Shape:
    nested = [(name, value) for name, value in attributes.items() if value.__class__ is dict]
    return (*attributes, *(path for name, value in nested for path in _paths(value, (name,))))


def _paths(attributes: Mapping[str, Any], above: Path) -> Iterator[Path]:
    """The paths of nested attributes."""
    for name, value in attributes.items():
        path = (*above, name)
        yield path
        if isinstance(value, Mapping):
            yield from _paths(value, path)
