"""Popularity: the summed interaction weights of each item, also by category, user segment and last days."""

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
from offline.training.algorithm import Algorithm, ChoiceRange, Context
from schemas.errors import ConfigurationInvalid

_DAY: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class PopularityParameters:
    """Parameters of popularity. Raises ConfigurationInvalid for an invalid value."""

    window: float | None = None
    """Days before the newest interaction that the overall scores count. None: all interactions."""
    days: tuple[float, ...] = (1.0, 7.0, 30.0)
    """Time windows, in days, with their own boards, overall and for each segment."""
    segments: tuple[str, ...] = ("age", "gender", "country", "region")
    """User attributes whose values have their own boards."""
    least: int = 20
    """Minimum number of people in a segment. A board of few people would reveal what each of them did."""

    def __post_init__(self) -> None:
        if self.least < 1 or min((*self.days, self.window or 1.0)) <= 0:
            raise ConfigurationInvalid("days, window and least of popularity must be above 0")


class _BoardRows(NamedTuple):
    """Named sparse rows over the items."""

    names: tuple[str, ...]
    indptr: NDArray[np.int64]
    items: Ints
    scores: Array


def train(
    interactions: Interactions, parameters: PopularityParameters | None = None, metadata: Metadata | None = None
) -> Popularity:
    """Sums weights by item in float64, then float32: overall, and for each segment and window.

    An interaction counts in full at its newest time. Without times there are no windows.
    """
    chosen, known = parameters or PopularityParameters(), metadata or Metadata()
    recent = {days: matrix for days in chosen.days if (matrix := _last(interactions, days)) is not None}
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
    """Yields the name of each board and its sums (I,)."""
    for days, matrix in recent.items():
        yield board_of(days=days), _sums(matrix)
    for segment, people in _segments(interactions, metadata, parameters).items():
        yield board_of(segment), _sums(interactions.matrix[people])
        for days, matrix in recent.items():
            yield board_of(segment, days), _sums(matrix[people])


def _segments(interactions: Interactions, metadata: Metadata, parameters: PopularityParameters) -> dict[str, list[int]]:
    """Returns the user rows of each segment that has enough people."""
    rows: dict[str, list[int]] = {}
    for row, user_id in enumerate(interactions.user_ids):
        attributes = metadata.users[user_id].attributes if user_id in metadata.users else {}
        for term in set(
            attribute_terms({name: attributes[name] for name in parameters.segments if name in attributes})
        ):
            rows.setdefault(term, []).append(row)
    return {segment: rows[segment] for segment in sorted(rows) if len(rows[segment]) >= parameters.least}


def _categories(interactions: Interactions, metadata: Metadata) -> Iterator[tuple[str, Array]]:
    """Yields the name of each category and its items, (I,) of ones."""
    items: dict[str, list[int]] = {}
    for position, item_id in enumerate(interactions.item_ids):
        for category in metadata.items[item_id].categories if item_id in metadata.items else ():
            items.setdefault(category, []).append(position)
    for category in sorted(items):
        within = np.zeros(len(interactions.item_ids), dtype=np.float32)
        within[items[category]] = 1
        yield category, within


def _last(interactions: Interactions, days: float) -> sp.csr_matrix | None:
    """Returns the interactions of the last days. None if no time is known."""
    times, matrix = interactions.times, interactions.matrix
    if times is None or not times.size:
        return None
    weights = np.where(times > times.max() - days * _DAY, matrix.data, 0)
    recent = sp.csr_matrix((weights, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    recent.eliminate_zeros()
    return recent


def _rows(given: Iterator[tuple[str, Array]]) -> _BoardRows:
    """Returns the positive values as sparse rows."""
    names, lengths, items, scores = [], [0], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for name, sums in given:
        positions = np.flatnonzero(sums > 0).astype(np.int32)
        names.append(name)
        lengths.append(positions.size)
        items.append(positions)
        scores.append(sums[positions])
    return _BoardRows(tuple(names), np.cumsum(lengths), np.concatenate(items), np.concatenate(scores))


def _sums(matrix: sp.csr_matrix) -> Array:
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel().astype(np.float32)


def _train(interactions: Interactions, parameters: PopularityParameters, context: Context) -> Popularity:
    return train(interactions, parameters, context.metadata)


ALGORITHM: Final = Algorithm(
    name="popularity",
    about="the summed weights of each item's interactions: the baseline; also by category, segment and last days",
    parameters=PopularityParameters,
    train=_train,
    space={"window": ChoiceRange((None, 1.0, 7.0, 30.0, 90.0, 365.0))},
    kind=Popularity.kind,
)
