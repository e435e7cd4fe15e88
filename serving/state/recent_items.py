"""The newest items in order, cached, so that a request does not read the whole catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Bools, Floats, Ints
from serving.arrays import kernels
from serving.arrays.top_k import top_k
from signals.decay import DAY

_SNAPSHOT_SIZE: Final = 2_000
"""Number of items in a snapshot."""


class DatedItems(Protocol):
    """The part of ``Catalogue`` that is needed to order its items by age."""

    loaded_at: float

    def __len__(self) -> int: ...

    @property
    def state(self) -> tuple[int, int]:
        """A value that differs after any item was added or changed."""

    def column(self, name: str, /) -> NDArray[Any]:
        """A column (n,), by name."""

    def labels(self, position: int, /) -> tuple[int, ...]:
        """The codes of an item's categories."""


class DatedPositions(NamedTuple):
    """Positions of items (C,), newest first, their times (C,) in seconds, and the codes of their categories."""

    items: Ints
    born: NDArray[np.float64]
    owners: NDArray[np.intp]
    """(m,) For each category code, the index of its item."""
    codes: Ints
    """(m,) Category codes."""

    def likeness(self, spread: Mapping[int, float]) -> Floats:
        """For each item, the sum of the shares of its categories, shape (C,), 0 to 1; ``spread`` is from ``catalogue.taste``."""
        weights = np.zeros(1 + max(int(self.codes.max(initial=0)), *spread, 0))
        weights[list(spread)] = list(spread.values())
        return np.bincount(self.owners, weights[self.codes], self.items.size).astype(np.float32)


class _Snapshot(NamedTuple):
    """The newest items from ``since`` to ``until`` (seconds), in one state of the catalogue."""

    state: tuple[int, int]
    since: float
    until: float
    whole: bool
    """Whether it has all items of known age."""
    recent: DatedPositions


class RecentItems:
    """The newest items of a catalogue; read again when it has changed, or when a later item is due."""

    def __init__(self, catalogue: DatedItems) -> None:
        self._catalogue = catalogue
        self._snapshot: _Snapshot | None = None

    def newest(self, now: float, since: float, allowed: Bools, count: int) -> tuple[DatedPositions, NDArray[np.intp]]:
        """Items of known age, newest first, and the indices of the first ``count`` allowed ones after ``since``.

        The age of an item is known if it has a date, or was stored well after the first load: a catalogue that was
        loaded today is not new.
        """
        snapshot = self._snapshot
        if snapshot is None or snapshot.state != self._catalogue.state or not snapshot.since <= now < snapshot.until:
            snapshot = self._snapshot = self._read_newest(now, _SNAPSHOT_SIZE)
        indices = _allowed_since(snapshot.recent, since, allowed, count)
        if indices.size < count and not snapshot.whole and snapshot.recent.born[-1] > since:
            snapshot = self._read_newest(now, len(self._catalogue))
            indices = _allowed_since(snapshot.recent, since, allowed, count)
        return snapshot.recent, indices

    def _read_newest(self, now: float, count: int) -> _Snapshot:
        catalogue = self._catalogue
        born = catalogue.column("born")
        known = (catalogue.column("dated") | (born > self._first_load() + DAY)) & np.isfinite(born)
        born_before = np.flatnonzero(known & (born <= now))
        items = born_before[top_k(born[born_before], count, catalogue.column("hash")[born_before])].astype(np.int32)
        labels = [catalogue.labels(position) for position in items.tolist()]
        owners = np.repeat(np.arange(items.size), [len(codes) for codes in labels])
        codes = np.array([code for own in labels for code in own], np.int32)
        until = float(born.min(initial=np.inf, where=known & (born > now)))
        return _Snapshot(
            catalogue.state, now, until, born_before.size <= count, DatedPositions(items, born[items], owners, codes)
        )

    def _first_load(self) -> float:
        """The time of the first load, or of the first event if no items were loaded (seconds)."""
        if np.isfinite(self._catalogue.loaded_at):
            return self._catalogue.loaded_at
        born = self._catalogue.column("born")
        return float(born.min(initial=np.inf, where=np.isfinite(born)))


def _allowed_since(recent: DatedPositions, since: float, allowed: Bools, count: int) -> NDArray[np.intp]:
    young = int(np.searchsorted(-recent.born, -since))
    return kernels.first_allowed(recent.items[:young], allowed, count)


def newest(catalogue: DatedItems, allowed: Ints, count: int) -> Ints:
    """The newest ``count`` of these positions, newest first.

    Items without item data are used only if no others are allowed: a mistyped id is not a new item.
    """
    described = allowed[catalogue.column("described")[allowed]]
    allowed = described if described.size else allowed
    born, ties = catalogue.column("born")[allowed], catalogue.column("hash")[allowed]
    return allowed[top_k(born, count, ties)]
