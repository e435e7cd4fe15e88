"""The interface of every model that ranks items for users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Floats, Ints


class Histories(NamedTuple):
    """The interactions of n people, as sparse rows over the items of a model.

    Row r is ``items[indptr[r]:indptr[r + 1]]``: positions among the model's ``item_ids``, each once, with weights
    above 0. The order is oldest first, ties by position, if times are known.
    """

    user_ids: tuple[str, ...]
    indptr: NDArray[np.int64]
    """(n + 1,)."""
    items: Ints
    """(m,)."""
    weights: Floats
    """(m,)."""
    times: NDArray[np.float64]
    """(m,) seconds since 1970 of the latest interaction. 0 if unknown."""

    def row(self, number: int) -> tuple[Ints, Floats]:
        """Returns the items and weights of one person."""
        entries = slice(self.indptr[number], self.indptr[number + 1])
        return self.items[entries], self.weights[entries]

    def profile(self, number: int, item_ids: Sequence[str]) -> dict[str, float]:
        """Returns the weights of one person by item id. ``item_ids`` are those of the model."""
        items, weights = self.row(number)
        return {item_ids[i]: weight for i, weight in zip(items.tolist(), weights.tolist(), strict=True)}


class Recommender(Protocol):
    """An immutable value that scores items for people. ``offline/training`` creates it."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Returns the I item ids, sorted."""

    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I). The caller may overwrite it.

        It uses the trained parameters of a ``user_id`` if the model has them, else the history alone. Items of the
        history are scored like any other.
        """

    def save(self) -> bytes:
        """Returns the model as bytes. Equal models give equal bytes."""

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""
