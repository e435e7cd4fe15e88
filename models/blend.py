"""A blend: the weighted sum of what several models say of a person, each by how far an item stands out to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays, Floats, frozen, pack, pack_ids, unpack, unpack_ids
from models.kinds import load_model
from models.lists import ScoredList
from models.recommender import Histories, Recommender
from schemas.errors import Undecodable


@dataclass(frozen=True, eq=False)
class Component:
    """One model of a blend. Two are equal whose names and bytes are."""

    name: str
    """The algorithm that it was trained by."""
    model: Recommender

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and (self.name, self.model.save()) == (other.name, other.model.save())

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, eq=False)
class Blend:
    """C components over the same I items, and ``weights`` (C,) float32, none below 0, of their standard scores.

    A standard score is how many standard deviations an item's score lies above the mean over all items, for one
    person and one component: components need no common scale.
    """

    kind: ClassVar[str] = "blend"

    components: tuple[Component, ...]
    weights: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights, np.float32, (len(self.components),)))
        if not self.components or len({each.model.item_ids for each in self.components}) != 1:
            raise Undecodable("not a blend: it needs components, and all of them over the same items")

    @property
    def item_ids(self) -> tuple[str, ...]:
        """I items, sorted."""
        return self.components[0].model.item_ids

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def index_of(self, item_id: str) -> int | None:
        """The item's position, or None where it is not known."""
        return self._index.get(item_id)

    def score_histories(self, histories: Histories) -> Floats:
        """Every item's score for each person, shape (n, I); around 0, a standard deviation about 1."""
        scores = np.zeros((len(histories.user_ids), len(self.item_ids)), dtype=np.float32)
        for component, weight in zip(self.components, self.weights, strict=True):
            if weight:
                of_one = standard(component.model.score_histories(histories))
                of_one *= weight
                scores += of_one
        return scores

    def score(self, profile: Mapping[str, float]) -> Floats:
        """Every item's score for a stranger with these interactions, shape (I,); unknown items add nothing.

        Only weights above 0 count.
        """
        known = sorted(
            (i, w) for item_id, w in profile.items() if (i := self._index.get(item_id)) is not None and w > 0
        )
        items = np.array([i for i, _ in known], dtype=np.int32)
        weights = np.array([weight for _, weight in known], dtype=np.float32)
        alone = Histories(("",), np.array([0, items.size]), items, weights, np.zeros(items.size))
        scores: Floats = self.score_histories(alone)[0]
        return scores

    def similar(self, item_id: str, count: int) -> ScoredList:
        """What the component of the greatest weight that knows of similar items says; none where no component does."""
        for at in np.argsort(-self.weights, kind="stable").tolist():
            of_one: Any = self.components[at].model
            if hasattr(of_one, "similar"):
                found: ScoredList = of_one.similar(item_id, count)
                return found
        return ScoredList()

    def save(self) -> bytes:
        """The model as bytes: its components' bytes one after the other."""
        return pack(self.kind, {"weights": self.weights, **pack_components(self.components)})

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""
        arrays = unpack(cls.kind, data)
        return cls(unpack_components(arrays), arrays["weights"])


def pack_components(components: Sequence[Component]) -> dict[str, NDArray[Any]]:
    """Components as arrays: their names, and the bytes of each one's model."""
    packed = {_part(at): np.frombuffer(each.model.save(), dtype=np.uint8) for at, each in enumerate(components)}
    return packed | pack_ids("names", [each.name for each in components])


def unpack_components(arrays: Arrays) -> tuple[Component, ...]:
    """The components that ``pack_components`` wrote; raises Undecodable."""
    names = unpack_ids("names", arrays)
    return tuple(Component(name, load_model(arrays[_part(at)].tobytes())) for at, name in enumerate(names))


def standard(scores: Floats) -> Floats:
    """Standard scores of each row, in place of the scores; 0 where a row is the same everywhere."""
    scores -= scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    deviations = np.sqrt(np.einsum("ij,ij->i", scores, scores) / max(1, scores.shape[1]))
    # What rounding leaves of a row of equal scores is no information.
    deviations[deviations < np.finfo(np.float32).tiny] = np.inf
    scores /= deviations[:, None].astype(np.float32)
    return scores


def _part(at: int) -> str:
    return f"component_{at}"
