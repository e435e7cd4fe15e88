"""The catalogue in memory: each item has a position, and its fields are in columns, so that array operations read many.

A position is assigned once and never changes. An id without item data can be let go (``vacate``); its position is given to
another id only once nobody holds it any more (``reuse``), so that arrays by position stay valid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Bools, Ints
from schemas.catalogue import SHOWN_FIELDS, Item
from serving.filtering.fields import COLUMN_BYTES, Fields
from serving.state.recent_items import RecentItems
from serving.state.text_index import TextIndex
from signals.bloom import hash_of

_START: Final = 1_024
SAMPLE: Final = 4_096
"""Number of items of the sample: a share of them differs from that of all by less than a hundredth (standard error)."""
_ENCODER: Final = msgspec.json.Encoder()
_COLUMNS: Final[dict[str, tuple[Any, Any]]] = {
    "listed": (False, np.bool_),
    "opens": (-np.inf, np.float64),
    "closes": (np.inf, np.float64),
    "born": (-np.inf, np.float64),
    "dated": (False, np.bool_),
    "described": (False, np.bool_),
    "bare": (True, np.bool_),
    "label": (-1, np.int32),
    "hash": (0, np.uint32),
}
"""The type of each column, and its value for an item without item data."""
_NO_LABELS: Final[tuple[int, ...]] = ()
VACANT: Final = ""
"""In place of the id of a position that nobody has. No item has this id."""


class _Visible(NamedTuple):
    """True for the items (n,) that are visible from ``since`` to ``until`` (seconds), in one state of the catalogue."""

    state: tuple[int, int]
    since: float
    until: float
    items: Bools


class _Sample(NamedTuple):
    """The sample of the visible items, and the visible items that it was drawn from."""

    visible: _Visible
    positions: Ints


class Catalogue:
    """Items by position. Used from one thread; reads between two changes see one state."""

    def __init__(self, *, bare_items: bool = True, column_bytes: int = COLUMN_BYTES) -> None:
        """``column_bytes`` is the memory for the fields that filters read."""
        self._bare_items = bare_items
        self.ids: list[str] = []
        """By position; VACANT where an id was let go."""
        self._index: dict[str, int] = {}
        self._free: list[int] = []
        self._arrivals: list[deque[str]] = []
        self._items: list[Item | None] = []
        self._fragments: list[msgspec.Raw | None] = []
        self._labels: list[tuple[int, ...]] = []
        self._label_codes: dict[str, int] = {}
        self._members: dict[int, set[int]] = {}
        self._member_positions: dict[int, Ints] = {}
        self._columns: dict[str, NDArray[Any]] = {
            name: np.full(_START, blank, dtype) for name, (blank, dtype) in _COLUMNS.items()
        }
        self.fields = Fields(self.ids, self._items, column_bytes)
        self.text = TextIndex(lambda: self.column("hash"))
        self.loaded_at = np.inf
        """The time at which the oldest item was first stored (seconds): the first load."""
        self.changes = 0
        """Number of item views stored, and of ids let go, so far."""
        self.additions = 0
        """Number of ids that have entered so far."""
        self._visible = _Visible((-1, -1), np.inf, -np.inf, np.zeros(0, np.bool_))
        self._sample = _Sample(self._visible, np.empty(0, np.int32))
        self.recent_items = RecentItems(self)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def items(self) -> int:
        """The number of ids that have a position."""
        return len(self._index)

    def arrivals(self) -> deque[str]:
        """The ids that enter from now on, in their order; whoever takes it must empty it."""
        arrivals = deque[str](self._index)
        self._arrivals.append(arrivals)
        return arrivals

    def position(self, item_id: str) -> int | None:
        """The position of an item; None if it is unknown."""
        return self._index.get(item_id)

    def positions(self, item_ids: Iterable[str]) -> Ints:
        """The positions of those of these items that are known, in their order."""
        index = self._index
        return np.array(
            [position for item_id in item_ids if (position := index.get(item_id)) is not None], dtype=np.int32
        )

    def item(self, position: int) -> Item | None:
        """The item at a position; None if it is known from events only."""
        return self._items[position]

    def fragment(self, position: int) -> msgspec.Raw | None:
        """The item as JSON for answers; None without item data."""
        fragment = self._fragments[position]
        item = self._items[position]
        if fragment is None and item is not None:
            fragment = self._fragments[position] = msgspec.Raw(_ENCODER.encode(described(item)))
        return fragment

    def column(self, name: str) -> NDArray[Any]:
        """A column (n,).

        ``listed``: neither hidden nor deleted. ``opens``, ``closes``: the window in which it is visible; ``born``: its publication, or
        else its first record (seconds). ``dated``: it has a date of publication. ``described``: it has item data. ``bare``: it
        never had any. ``label``: the code of its first category, or -1. ``hash``: of its id.
        """
        return self._columns[name][: len(self.ids)]

    def visible(self, items: Ints, now: float) -> Bools:
        """True for those of these positions that are not hidden or deleted, and are within their time window at ``now``."""
        columns = self._columns
        visible: Bools = columns["listed"][items] & (columns["opens"][items] <= now) & (now < columns["closes"][items])
        return visible

    def all_visible(self, now: float) -> Bools:
        """True for the positions (n,) that are visible at ``now``; a copy that the caller may change."""
        return self._visible_at(now).items.copy()

    def sample(self, now: float) -> Ints:
        """The positions of up to SAMPLE items that are visible at ``now``, drawn by their hashes and kept ready; of fewer items all."""
        visible = self._visible_at(now)
        if self._sample.visible is not visible:
            positions = np.flatnonzero(visible.items).astype(np.int32)
            if positions.size > SAMPLE:
                positions = positions[np.argpartition(self._columns["hash"][positions], SAMPLE)[:SAMPLE]]
            self._sample = _Sample(visible, positions)
        return self._sample.positions

    def _visible_at(self, now: float) -> _Visible:
        visible = self._visible
        if visible.state != self.state or not visible.since <= now < visible.until:
            visible = self._visible = self._compute_visible(now)
        return visible

    @property
    def state(self) -> tuple[int, int]:
        """A value that differs after any item was added or changed."""
        return self.changes, self.additions

    def _compute_visible(self, now: float) -> _Visible:
        opens, closes = self.column("opens"), self.column("closes")
        visible = self.column("listed") & (opens <= now) & (now < closes)
        until = min(opens.min(initial=np.inf, where=opens > now), closes.min(initial=np.inf, where=closes > now))
        return _Visible(self.state, now, float(until), visible)

    def labels(self, position: int) -> tuple[int, ...]:
        """The codes of an item's categories."""
        return self._labels[position]

    def in_categories(self, categories: Sequence[str]) -> Bools:
        """True for the items (n,) in any of these categories; case is ignored."""
        chosen = np.zeros(len(self.ids), np.bool_)
        for code in {self._label_codes.get(category.casefold()) for category in categories}:
            if code is not None:
                chosen[self._positions_labelled(code)] = True
        return chosen

    def _positions_labelled(self, code: int) -> Ints:
        """The positions of the items in a category, kept until one of them changes."""
        positions = self._member_positions.get(code)
        if positions is None:
            members = self._members[code]
            positions = self._member_positions[code] = np.fromiter(members, np.int32, len(members))
        return positions

    def ensure(self, item_id: str, first_at: float = -np.inf) -> int:
        """The position of an item; an unknown item is added without item data, born at its first event (seconds)."""
        position = self._index.get(item_id)
        if position is None:
            position = self._add(item_id)
            self._columns["listed"][position] = self._bare_items
            self._columns["born"][position] = first_at
        elif first_at > -np.inf and self._items[position] is None:
            self._born_by(position, first_at)
        return position

    def _born_by(self, position: int, first_at: float) -> None:
        """Date a bare item by an event of which the catalogue hears later, as if it had heard of it first."""
        born = self._columns["born"]
        if not np.isfinite(born[position]) or first_at < born[position]:
            born[position] = first_at
            self.changes += 1

    def aligned_positions(self, item_ids: Collection[str]) -> Ints:
        """The positions of these items, in their order, with -1 for unknown items."""
        return np.fromiter(map(self._index.get, item_ids, repeat(-1)), np.int32, len(item_ids))

    def ensure_all(self, item_ids: Sequence[str]) -> Ints:
        """The positions of these items, in their order; unknown items are added without item data."""
        return np.fromiter(map(self.ensure, item_ids), np.int32, len(item_ids))

    def put(self, item: Item) -> int:
        """Store an item's newest view and return its position."""
        position = self._index.get(item.item_id)
        position = self._add(item.item_id) if position is None else position
        self.changes += 1
        self._items[position] = None if item.deleted else item
        self._fragments[position] = None
        self._describe(position, item)
        self.fields.touch(position)
        if item.deleted:
            self.text.remove(position)
        else:
            self.text.put(position, item)
        return position

    def forget(self, item_id: str) -> None:
        """Mark an item as deleted, because the store no longer has it."""
        self.put(Item(item_id=item_id, deleted=True))

    def _describe(self, position: int, item: Item) -> None:
        columns = self._columns
        columns["listed"][position] = not (item.hidden or item.deleted)
        columns["opens"][position] = _seconds(item.available_from, -np.inf)
        columns["closes"][position] = _seconds(item.available_until, np.inf)
        columns["born"][position] = _seconds(item.published_at or item.first_at, -np.inf)
        columns["dated"][position] = item.published_at is not None
        columns["described"][position] = not item.deleted
        columns["bare"][position] = False
        self.loaded_at = min(self.loaded_at, _seconds(item.first_at, np.inf))
        self._label(position, () if item.deleted else item.categories)
        columns["label"][position] = self._labels[position][0] if self._labels[position] else -1

    def _label(self, position: int, categories: Sequence[str]) -> None:
        for code in self._labels[position]:
            self._members[code].discard(position)
            self._member_positions.pop(code, None)
        codes = tuple(self._label_codes.setdefault(name.casefold(), len(self._label_codes)) for name in categories)
        for code in codes:
            self._members.setdefault(code, set()).add(position)
            self._member_positions.pop(code, None)
        self._labels[position] = codes

    def vacate(self, position: int) -> None:
        """Let go of the id at a position, which must never have had item data. The position is not given away yet."""
        del self._index[self.ids[position]]
        self.ids[position] = VACANT
        self._blank(position)
        self._columns["bare"][position] = False
        self.changes += 1
        self.fields.touch(position)

    def reuse(self, positions: Iterable[int]) -> None:
        """Give vacated positions to the next new ids, once nobody holds them any more."""
        self._free.extend(positions)

    def _add(self, item_id: str) -> int:
        position = self._free.pop() if self._free else self._append()
        self._blank(position)
        self.ids[position] = item_id
        self._index[item_id] = position
        self._columns["hash"][position] = hash_of(item_id)
        self.additions += 1
        self.fields.touch(position)
        for arrivals in self._arrivals:
            arrivals.append(item_id)
        return position

    def _append(self) -> int:
        position = len(self.ids)
        if position == len(self._columns["hash"]):
            self._grow()
        self.ids.append(VACANT)
        self._items.append(None)
        self._fragments.append(None)
        self._labels.append(_NO_LABELS)
        return position

    def _blank(self, position: int) -> None:
        for name, (blank, _) in _COLUMNS.items():
            self._columns[name][position] = blank

    def _grow(self) -> None:
        for name, column in self._columns.items():
            blank, dtype = _COLUMNS[name]
            self._columns[name] = np.concatenate([column, np.full(len(column), blank, dtype)])


def described(item: Item) -> dict[str, Any]:
    """The fields of an item that answers show; fields without a value are left out."""
    return {name: value for name in SHOWN_FIELDS if (value := getattr(item, name)) not in (None, (), {})}


def taste(catalogue: Catalogue, weights: Iterable[tuple[int, float]]) -> dict[int, float]:
    """By category code, its share of the weights of a profile; the shares sum to 1."""
    spread: dict[int, float] = {}
    for position, weight in weights:
        labels = catalogue.labels(position)
        for code in labels:
            spread[code] = spread.get(code, 0.0) + weight / len(labels)
    total = sum(spread.values())
    return {code: share / total for code, share in spread.items()} if total > 0 else {}


def _seconds(moment: datetime | None, missing: float) -> float:
    return missing if moment is None else moment.timestamp()
