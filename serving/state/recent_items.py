"""What came last, kept in its order, so that a request need not look through the whole catalogue for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints
from serving.arrays import kernels
from serving.arrays.top_k import top_k
from serving.filtering.fields import Bools
from signals.decay import DAY

_KEPT: Final = 2_000
"""Items that are kept in their order."""


class DatedItems(Protocol):
    """What is read of the catalogue to order its items by age (see ``Catalogue``)."""

    loaded_at: float

    def __len__(self) -> int: ...

    @property
    def state(self) -> tuple[int, int]:
        """Another value once any item has come or changed."""

    def column(self, name: str, /) -> NDArray[Any]:
        """A column (n,), by name."""

    def labels(self, position: int, /) -> tuple[int, ...]:
        """The codes of an item's categories."""


class Arrived(NamedTuple):
    """Positions of items (C,), newest first, when each came (seconds), and the codes of their categories."""

    items: Ints
    born: NDArray[np.float64]
    owners: NDArray[np.intp]
    """(m,) Whose code each is: places among the items."""
    codes: Ints
    """(m,)."""

    def likeness(self, spread: Mapping[int, float]) -> Floats:
        """How much of a taste each item's categories cover, shape (C,), 0 to 1."""
        weights = np.zeros(1 + max(int(self.codes.max(initial=0)), *spread, 0))
        weights[list(spread)] = list(spread.values())
        return np.bincount(self.owners, weights[self.codes], self.items.size).astype(np.float32)


class _Kept(NamedTuple):
    """The newest items from one moment on until another (seconds), in one state of the catalogue."""

    state: tuple[int, int]
    since: float
    until: float
    whole: bool
    """Whether no older ones were left out."""
    arrived: Arrived


class RecentItems:
    """The newest items of a catalogue, looked up anew when it has changed or the next item's time has come."""

    def __init__(self, catalogue: DatedItems) -> None:
        self._catalogue = catalogue
        self._newest: _Kept | None = None

    def newest(self, now: float, since: float, allowed: Bools, count: int) -> tuple[Arrived, NDArray[np.intp]]:
        """Items of known age, newest first, and the places of the first ``count`` allowed that came after ``since``.

        An item counts that has a date of its own, or came well after the first load: a whole catalogue loaded today
        is not new.
        """
        kept = self._newest
        if kept is None or kept.state != self._catalogue.state or not kept.since <= now < kept.until:
            kept = self._newest = self._looked_up(now, _KEPT)
        found = _among(kept.arrived, since, allowed, count)
        if found.size < count and not kept.whole and kept.arrived.born[-1] > since:
            kept = self._looked_up(now, len(self._catalogue))
            found = _among(kept.arrived, since, allowed, count)
        return kept.arrived, found

    def _looked_up(self, now: float, count: int) -> _Kept:
        catalogue = self._catalogue
        born = catalogue.column("born")
        known = (catalogue.column("dated") | (born > self._began() + DAY)) & np.isfinite(born)
        come = np.flatnonzero(known & (born <= now))
        items = come[top_k(born[come], count, catalogue.column("hash")[come])].astype(np.int32)
        labels = [catalogue.labels(at) for at in items.tolist()]
        owners = np.repeat(np.arange(items.size), [len(each) for each in labels])
        codes = np.array([code for each in labels for code in each], np.int32)
        until = float(born.min(initial=np.inf, where=known & (born > now)))
        return _Kept(catalogue.state, now, until, come.size <= count, Arrived(items, born[items], owners, codes))

    def _began(self) -> float:
        """When the first items came: the first load, or where nothing was loaded the first event."""
        if np.isfinite(self._catalogue.loaded_at):
            return self._catalogue.loaded_at
        born = self._catalogue.column("born")
        return float(born.min(initial=np.inf, where=np.isfinite(born)))


def _among(arrived: Arrived, since: float, allowed: Bools, count: int) -> NDArray[np.intp]:
    young = int(np.searchsorted(-arrived.born, -since))
    return kernels.first_allowed(arrived.items[:young], allowed, count)


def newest(catalogue: DatedItems, allowed: Ints, count: int) -> Ints:
    """The newest ``count`` of these positions, newest first.

    Items without item data come only where no other items are allowed: a mistyped id is no news.
    """
    described = allowed[catalogue.column("described")[allowed]]
    allowed = described if described.size else allowed
    born, ties = catalogue.column("born")[allowed], catalogue.column("hash")[allowed]
    return allowed[top_k(born, count, ties)]
