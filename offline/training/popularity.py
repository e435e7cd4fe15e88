"""Popularity: the summed weights of each item's interactions, by category, by segment of people and in the last days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.content import attribute_terms
from models.popularity import Popularity, board_of
from models.structures.arrays import Floats as Array
from models.structures.arrays import Ints
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata
from offline.training.algorithm import Algorithm, Choice, Context
from schemas.errors import ConfigurationInvalid

_DAY: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class PopularityParameters:
    """Of popularity; raises ConfigurationInvalid where a value cannot work."""

    window: float | None = None
    """Days before the newest interaction that everybody's scores are of; None for all of them."""
    days: tuple[float, ...] = (1.0, 7.0, 30.0)
    """Windows that have boards of their own, for everybody and for each segment."""
    segments: tuple[str, ...] = ("age", "gender", "country", "region")
    """Users' attributes whose values have boards of their own."""
    least: int = 20
    """People whom a segment must have: a board of few would tell what each of them did."""

    def __post_init__(self) -> None:
        if self.least < 1 or min((*self.days, self.window or 1.0)) <= 0:
            raise ConfigurationInvalid("days, window and least of popularity must be above 0")


class _Rows(NamedTuple):
    """Named rows over the items."""

    names: tuple[str, ...]
    indptr: NDArray[np.int64]
    items: Ints
    scores: Array


def train(
    interactions: Interactions, parameters: PopularityParameters | None = None, metadata: Metadata | None = None
) -> Popularity:
    """One sum an item, in float64 and then float32; and as much for each segment and window that there is.

    A person's interaction with an item counts whole, at its newest time. Without times there are no windows.
    """
    chosen, known = parameters or PopularityParameters(), metadata or Metadata()
    recent = {days: found for days in chosen.days if (found := _last(interactions, days)) is not None}
    whole = _last(interactions, chosen.window) if chosen.window else None
    boards = _rows(_boards(interactions, chosen, known, recent))
    categories = _rows(_categories(interactions, known))
    return Popularity(
        interactions.item_ids,
        _sums(interactions.matrix if whole is None else whole),
        *boards,
        *categories[:3],
    )


def _boards(
    interactions: Interactions,
    parameters: PopularityParameters,
    metadata: Metadata,
    recent: dict[float, sp.csr_matrix],
) -> Iterator[tuple[str, Array]]:
    """Each board's name and its sums (I,)."""
    for days, matrix in recent.items():
        yield board_of(days=days), _sums(matrix)
    for segment, people in _segments(interactions, metadata, parameters).items():
        yield board_of(segment), _sums(interactions.matrix[people])
        for days, matrix in recent.items():
            yield board_of(segment, days), _sums(matrix[people])


def _segments(interactions: Interactions, metadata: Metadata, parameters: PopularityParameters) -> dict[str, list[int]]:
    """The rows of the people of each segment that has enough of them."""
    found: dict[str, list[int]] = {}
    for row, user_id in enumerate(interactions.user_ids):
        said = metadata.users[user_id].attributes if user_id in metadata.users else {}
        for term in set(attribute_terms({name: said[name] for name in parameters.segments if name in said})):
            found.setdefault(term, []).append(row)
    return {segment: found[segment] for segment in sorted(found) if len(found[segment]) >= parameters.least}


def _categories(interactions: Interactions, metadata: Metadata) -> Iterator[tuple[str, Array]]:
    """Each category's name and which items it has, (I,) of ones."""
    items: dict[str, list[int]] = {}
    for at, item_id in enumerate(interactions.item_ids):
        for category in metadata.items[item_id].categories if item_id in metadata.items else ():
            items.setdefault(category, []).append(at)
    for category in sorted(items):
        within = np.zeros(len(interactions.item_ids), dtype=np.float32)
        within[items[category]] = 1
        yield category, within


def _last(interactions: Interactions, days: float) -> sp.csr_matrix | None:
    """The interactions of the last days; None where no time is known."""
    times, matrix = interactions.times, interactions.matrix
    if times is None or not times.size:
        return None
    weights = np.where(times > times.max() - days * _DAY, matrix.data, 0)
    found = sp.csr_matrix((weights, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    found.eliminate_zeros()
    return found


def _rows(given: Iterator[tuple[str, Array]]) -> _Rows:
    """Only what is above 0 is kept."""
    names, lengths, items, scores = [], [0], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for name, sums in given:
        positions = np.flatnonzero(sums > 0).astype(np.int32)
        names.append(name)
        lengths.append(positions.size)
        items.append(positions)
        scores.append(sums[positions])
    return _Rows(tuple(names), np.cumsum(lengths), np.concatenate(items), np.concatenate(scores))


def _sums(matrix: sp.csr_matrix) -> Array:
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel().astype(np.float32)


def _train(interactions: Interactions, parameters: PopularityParameters, context: Context) -> Popularity:
    return train(interactions, parameters, context.metadata)


ALGORITHM: Final = Algorithm(
    name="popularity",
    about="the summed weights of each item's interactions: the baseline; also by category, segment and last days",
    parameters=PopularityParameters,
    train=_train,
    space={"window": Choice((None, 1.0, 7.0, 30.0, 90.0, 365.0))},
    kind=Popularity.kind,
)
