"""The catalogue in memory: one position an item, its facts in columns, so that a request asks them of many at once.

Positions are handed out once and never move or go, so that whatever is worked out by position stays right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints
from schemas.catalogue import Item
from serving.filtering.fields import Bools, Fields
from serving.state.recent_items import RecentItems
from serving.state.text_index import TextIndex
from signals.bloom import hash_of

_START: Final = 1_024
_SHOWN_FIELDS: Final = ("title", "description", "categories", "tags", "price", "published_at", "attributes")
_ENCODER: Final = msgspec.json.Encoder()
_COLUMNS: Final[dict[str, tuple[Any, Any]]] = {
    "shown": (False, np.bool_),
    "opens": (-np.inf, np.float64),
    "closes": (np.inf, np.float64),
    "born": (-np.inf, np.float64),
    "dated": (False, np.bool_),
    "described": (False, np.bool_),
    "label": (-1, np.int32),
    "hash": (0, np.uint32),
}
"""Each column's value for an item of which nothing is known yet, and its type."""
_NO_LABELS: Final[tuple[int, ...]] = ()


class _Visible(NamedTuple):
    """Which items (n,) may be shown from one moment on until another (seconds), as things stood after so many changes."""

    state: tuple[int, int]
    since: float
    until: float
    items: Bools


class Catalogue:
    """Items by position. For one thread at a time; reads between two changes see one state."""

    def __init__(self, *, bare_items: bool = True) -> None:
        self._bare_items = bare_items
        self.ids: list[str] = []
        self._index: dict[str, int] = {}
        self._items: list[Item | None] = []
        self._fragments: list[msgspec.Raw | None] = []
        self._labels: list[tuple[int, ...]] = []
        self._label_codes: dict[str, int] = {}
        self._members: dict[int, set[int]] = {}
        self._columns: dict[str, NDArray[Any]] = {
            name: np.full(_START, blank, dtype) for name, (blank, dtype) in _COLUMNS.items()
        }
        self.fields = Fields(self.ids, self._items)
        self.text = TextIndex(lambda: self.column("hash"))
        self.loaded_at = np.inf
        """When the oldest item came (seconds): the first load."""
        self.changes = 0
        """Views taken over so far."""
        self._visible = _Visible((-1, -1), np.inf, -np.inf, np.zeros(0, np.bool_))
        self.arrivals = RecentItems(self)

    def __len__(self) -> int:
        return len(self.ids)

    def position(self, item_id: str) -> int | None:
        """Where an item stands; None where it was never heard of."""
        return self._index.get(item_id)

    def positions(self, item_ids: Iterable[str]) -> Ints:
        """Where the known ones of these items stand, in their order."""
        index = self._index
        return np.array([at for item_id in item_ids if (at := index.get(item_id)) is not None], dtype=np.int32)

    def item(self, at: int) -> Item | None:
        """What the site says of an item; None where it is known from events alone."""
        return self._items[at]

    def fragment(self, at: int) -> msgspec.Raw | None:
        """The item as it stands in answers, as JSON; None where nothing is said of it."""
        kept = self._fragments[at]
        item = self._items[at]
        if kept is None and item is not None:
            kept = self._fragments[at] = msgspec.Raw(_ENCODER.encode(described(item)))
        return kept

    def column(self, name: str) -> NDArray[Any]:
        """A column (n,): shown, opens, closes, born (seconds), dated, described, label (of the first category, or -1), hash."""
        return self._columns[name][: len(self.ids)]

    def visible(self, items: Ints, now: float) -> Bools:
        """Which of these may be shown at ``now``: not hidden, not deleted, within their window."""
        columns = self._columns
        visible: Bools = columns["shown"][items] & (columns["opens"][items] <= now) & (now < columns["closes"][items])
        return visible

    def all_visible(self, now: float) -> Bools:
        """Which items (n,) may be shown at ``now``; the caller may write to it."""
        kept = self._visible
        if kept.state != self.state or not kept.since <= now < kept.until:
            kept = self._visible = self._seen_at(now)
        return kept.items.copy()

    @property
    def state(self) -> tuple[int, int]:
        """Another value once any item has come or changed."""
        return self.changes, len(self.ids)

    def _seen_at(self, now: float) -> _Visible:
        opens, closes = self.column("opens"), self.column("closes")
        visible = self.column("shown") & (opens <= now) & (now < closes)
        until = min(opens.min(initial=np.inf, where=opens > now), closes.min(initial=np.inf, where=closes > now))
        return _Visible(self.state, now, float(until), visible)

    def labels(self, at: int) -> tuple[int, ...]:
        """The codes of an item's categories."""
        return self._labels[at]

    def in_categories(self, categories: Sequence[str]) -> Bools:
        """Which items (n,) are in any of these categories, whatever their case."""
        chosen = np.zeros(len(self.ids), np.bool_)
        for category in categories:
            code = self._label_codes.get(category.casefold())
            if code is not None:
                members = self._members[code]
                chosen[np.fromiter(members, np.int32, len(members))] = True
        return chosen

    def ensure(self, item_id: str, first_at: float = -np.inf) -> int:
        """The position of an item, handed out now where it is first heard of, as a bare one."""
        at = self._index.get(item_id)
        if at is None:
            at = self._add(item_id)
            self._columns["shown"][at] = self._bare_items
            self._columns["born"][at] = first_at
        return at

    def looked_up(self, item_ids: Collection[str]) -> Ints:
        """The positions of these items, in their order; -1 for one that was never heard of."""
        return np.fromiter(map(self._index.get, item_ids, repeat(-1)), np.int32, len(item_ids))

    def put(self, item: Item) -> int:
        """Take over an item's newest view."""
        at = self._index.get(item.item_id)
        at = self._add(item.item_id) if at is None else at
        self.changes += 1
        self._items[at] = None if item.deleted else item
        self._fragments[at] = None
        self._describe(at, item)
        self.fields.touch(at)
        if item.deleted:
            self.text.remove(at)
        else:
            self.text.put(at, item)
        return at

    def forget(self, item_id: str) -> None:
        """The store no longer knows this item."""
        self.put(Item(item_id=item_id, deleted=True))

    def _describe(self, at: int, item: Item) -> None:
        columns = self._columns
        columns["shown"][at] = not (item.hidden or item.deleted)
        columns["opens"][at] = _seconds(item.available_from, -np.inf)
        columns["closes"][at] = _seconds(item.available_until, np.inf)
        columns["born"][at] = _seconds(item.published_at or item.first_at, -np.inf)
        columns["dated"][at] = item.published_at is not None
        columns["described"][at] = not item.deleted
        self.loaded_at = min(self.loaded_at, _seconds(item.first_at, np.inf))
        self._label(at, () if item.deleted else item.categories)
        columns["label"][at] = self._labels[at][0] if self._labels[at] else -1

    def _label(self, at: int, categories: Sequence[str]) -> None:
        for code in self._labels[at]:
            self._members[code].discard(at)
        codes = tuple(self._label_codes.setdefault(name.casefold(), len(self._label_codes)) for name in categories)
        for code in codes:
            self._members.setdefault(code, set()).add(at)
        self._labels[at] = codes

    def _add(self, item_id: str) -> int:
        at = len(self.ids)
        if at == len(self._columns["hash"]):
            self._grow()
        self.ids.append(item_id)
        self._index[item_id] = at
        self._items.append(None)
        self._fragments.append(None)
        self._labels.append(_NO_LABELS)
        self.fields.touch(at)
        self._columns["hash"][at] = hash_of(item_id)
        return at

    def _grow(self) -> None:
        for name, column in self._columns.items():
            blank, dtype = _COLUMNS[name]
            self._columns[name] = np.concatenate([column, np.full(len(column), blank, dtype)])


def described(item: Item) -> dict[str, Any]:
    """What answers say of an item; nothing that is not set."""
    return {name: value for name in _SHOWN_FIELDS if (value := getattr(item, name)) not in (None, (), {})}


def taste(catalogue: Catalogue, weights: Iterable[tuple[int, float]]) -> dict[int, float]:
    """How a profile's weight spreads over categories; the shares sum to 1."""
    spread: dict[int, float] = {}
    for at, weight in weights:
        labels = catalogue.labels(at)
        for code in labels:
            spread[code] = spread.get(code, 0.0) + weight / len(labels)
    total = sum(spread.values())
    return {code: share / total for code, share in spread.items()} if total > 0 else {}


def _seconds(at: datetime | None, missing: float) -> float:
    return missing if at is None else at.timestamp()
