"""Models that combine several models over the same items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Arrays, Floats, pack_ids, unpack_ids
from models.structures.kinds import load_model
from models.structures.recommender import Histories, Recommender
from schemas.errors import Undecodable


@dataclass(frozen=True, eq=False)
class Component:
    """One of the models. Two are equal if their names and bytes are."""

    name: str
    """Name of its algorithm."""
    model: Recommender

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and (self.name, self.model.save()) == (other.name, other.model.save())

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, eq=False)
class Combined(ABC):
    """C ≥ 1 components over the same I items. Raises Undecodable otherwise."""

    components: tuple[Component, ...]

    def __post_init__(self) -> None:
        if not self.components or len({component.model.item_ids for component in self.components}) != 1:
            raise Undecodable("a blend or ranker needs components, and all of them over the same items")

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Returns the I item ids, sorted."""
        return self.components[0].model.item_ids

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def index_of(self, item_id: str) -> int | None:
        """Returns the item's position, or None if it is unknown."""
        return self._index.get(item_id)

    @abstractmethod
    def score_histories(self, histories: Histories) -> Floats:
        """Returns every item's score for each person, shape (n, I)."""

    def score(self, profile: Mapping[str, float]) -> Floats:
        """Returns every item's score for a new user with these interactions, shape (I,).

        Unknown items and weights that are not positive are ignored.
        """
        known = {i: w for item_id, w in profile.items() if (i := self._index.get(item_id)) is not None and w > 0}
        items = np.array(sorted(known), dtype=np.int32)
        weights = np.array([known[i] for i in items.tolist()], dtype=np.float32)
        history = Histories(("",), np.array([0, items.size]), items, weights, np.zeros(items.size))
        scores: Floats = self.score_histories(history)[0]
        return scores


def pack_components(components: Sequence[Component]) -> dict[str, NDArray[Any]]:
    """Returns components as arrays: their names, and the bytes of each model."""
    packed = {
        _part(number): np.frombuffer(component.model.save(), dtype=np.uint8)
        for number, component in enumerate(components)
    }
    return packed | pack_ids("names", [component.name for component in components])


def unpack_components(arrays: Arrays) -> tuple[Component, ...]:
    """Returns the components of ``pack_components``. Raises Undecodable."""
    names = unpack_ids("names", arrays)
    return tuple(Component(name, load_model(arrays[_part(number)].tobytes())) for number, name in enumerate(names))


def _part(number: int) -> str:
    return f"component_{number}"
