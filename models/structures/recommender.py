"""What every model that ranks items for people can do, whatever it was learned by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints


class Histories(NamedTuple):
    """What n people had to do with, as rows of a sparse matrix over a model's items.

    Row r is ``items[indptr[r]:indptr[r + 1]]``: positions among the model's ``item_ids``, each once, oldest first
    where times are known (by position where they are equal), with weights above 0.
    """

    user_ids: tuple[str, ...]
    indptr: NDArray[np.int64]
    """(n + 1,)."""
    items: Ints
    """(m,)."""
    weights: Floats
    """(m,)."""
    times: NDArray[np.float64]
    """(m,) seconds since 1970 of the latest interaction; 0 where nothing is known."""

    def row(self, number: int) -> tuple[Ints, Floats]:
        """One person's items and weights."""
        place = slice(self.indptr[number], self.indptr[number + 1])
        return self.items[place], self.weights[place]

    def profile(self, number: int, item_ids: Sequence[str]) -> dict[str, float]:
        """One person's weights by item id; ``item_ids`` are the model's."""
        items, weights = self.row(number)
        return {item_ids[i]: weight for i, weight in zip(items.tolist(), weights.tolist(), strict=True)}


class Recommender(Protocol):
    """An immutable value that scores items for people; see ``offline/training`` for how one is made."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """I items, sorted."""

    def score_histories(self, histories: Histories) -> Floats:
        """Every item's score for each person, shape (n, I), the greater the better; the caller may overwrite it.

        A person's trained parameters are used where the model holds them for this ``user_id``, else the history
        alone. Items of the history are scored like any other.
        """

    def save(self) -> bytes:
        """The model as bytes; equal models give equal bytes."""

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""


class Similar(Protocol):
    """A model that knows which items are alike."""

    def similar(self, item_id: str, count: int) -> Any:
        """The best neighbours as a ``ScoredList``; empty where the item is not known."""
