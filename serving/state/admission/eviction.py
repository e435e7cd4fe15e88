"""Lets ids go that are known from events only, once they take more memory than they may: the least active ones first.

Anybody can invent ids, and people to be at them. An id stays that has item data, or that the active model or the one before
knows. Of all others, those with the lowest decayed count go (the longest half-life): a frequent item outlives many invented
ones, and every process chooses the same. An id that was let go waits again for enough people (``waiting``).

Its position is blank from then on, and nothing recommends it. It is given to another id after a while, when no request or
cache can hold it any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final

import numpy as np
import structlog

from models.structures.arrays import Ints
from schemas.ports import Clock
from serving import metrics
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.merged import Merged

_log = structlog.get_logger(__name__)
REST_SECONDS: Final = 30.0
"""Time for which a position stays blank: longer than a request takes."""
_SPARE: Final = 0.1
"""Share of the limit that is free after ids were let go, so that this happens now and then only."""


class ItemEviction:
    """Used from the event loop, except ``models``. ``steady`` gives seconds."""

    def __init__(
        self,
        catalogue: Catalogue,
        aggregates: Aggregates,
        limit_bytes: int,
        steady: Clock,
        forget_lists: Callable[[], None] = lambda: None,
    ) -> None:
        """``forget_lists`` drops what others have kept by position for longer than a request."""
        self._catalogue, self._aggregates, self._limit = catalogue, aggregates, limit_bytes
        self._steady, self._forget_lists = steady, forget_lists
        self._of_models: deque[Ints] = deque(maxlen=2)
        self._resting: deque[tuple[float, list[int]]] = deque()
        self.models = Lock()
        """Held by the thread that binds a model from its first look at the catalogue until ``keep`` has its positions."""

    def keep(self, positions: Ints) -> None:
        """Keep the items of a model that is served from now on, and those of the one before."""
        self._of_models.append(positions)

    def run(self) -> Iterator[None]:
        """Let go of what is too much, one id a step."""
        self._end_rest()
        evictable = self._evictable()
        sizes = self._aggregates.memory.of(evictable)
        size = int(sizes.sum())
        metrics.BARE_ITEM_BYTES.set(size)
        if size > self._limit and self.models.acquire(blocking=False):
            try:
                yield from self._let_go(self._least_active(evictable, sizes, size))
            finally:
                self.models.release()

    def _evictable(self) -> Ints:
        """The positions of the ids without item data that no model knows."""
        evictable = self._catalogue.column("bare").copy()
        for positions in self._of_models:
            evictable[positions] = False
        return np.flatnonzero(evictable).astype(np.int32)

    def _least_active(self, evictable: Ints, sizes: np.typing.NDArray[np.int64], size: int) -> Ints:
        order = np.argsort(self._aggregates.activity(evictable), kind="stable")
        needed = size - int(self._limit * (1.0 - _SPARE))
        count = int(np.searchsorted(np.cumsum(sizes[order]), needed)) + 1
        return evictable[order[:count]]

    def _let_go(self, positions: Ints) -> Iterator[None]:
        gone: list[int] = []
        for position in positions.tolist():
            if self._catalogue.column("bare")[position]:  # its item data may have come meanwhile
                self._aggregates.let_go(position, self._catalogue.ids[position])
                self._catalogue.vacate(position)
                gone.append(position)
            yield
        merged = Merged.without(gone)
        self._aggregates.adopt(merged, (yield from self._aggregates.arrange(merged)))
        yield from self._aggregates.sessions.let_go(frozenset(gone))
        self._aggregates.forget_sums()
        self._resting.append((self._steady(), gone))
        metrics.ITEMS_LET_GO.inc(len(gone))
        _log.info("items_let_go", items=len(gone), left=self._catalogue.items)

    def _end_rest(self) -> None:
        """Give the positions away again that have rested."""
        rested = self._steady() - REST_SECONDS
        while self._resting and self._resting[0][0] <= rested:
            self._forget_lists()
            self._catalogue.reuse(self._resting.popleft()[1])
