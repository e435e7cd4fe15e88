"""Sequential rules and co-visitation: the items that follow an item in sessions.

Kamehkhosh, Jannach and Ludewig, RecTemp 2017; Ludewig and Jannach, UMUAI 2018: in a session, a pair of items at
distance n counts 1 / n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from models.sequential_rules import SequentialRules
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.neighbourhood.neighbours import top_k_rows
from offline.training.neighbourhood.sessions import Recorded, recorded
from schemas.errors import ConfigurationInvalid

_DAY: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class RuleParameters:
    """Parameters of sequential rules. Raises ConfigurationInvalid for an invalid value."""

    width: int = 100
    """Number of followers for each item."""
    window: int = 10
    """Maximum distance of a pair in a session."""
    backward: float = 0.0
    """Weight of a pair in the backward direction, relative to 1 forwards."""
    half_life_days: float | None = None
    """Half-life of a pair's weight by its age before the newest session. None: no decay."""
    age: float = 0.5
    """At scoring, the item n positions before the newest counts exp(-n / age)."""
    same: float = 1.0
    """Score of the item itself, relative to 1 for its best follower."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.window < 1 or not self.age > 0 or min(self.backward, self.same) < 0:
            raise ConfigurationInvalid(
                "width, window and age of followers must be above 0, backward and same not below"
            )
        if self.half_life_days is not None and not self.half_life_days > 0:
            raise ConfigurationInvalid("half_life_days of followers must be above 0, or none")


@dataclass(frozen=True, kw_only=True)
class CoVisitParameters(RuleParameters):
    """Parameters of co-visitation: pairs count in both directions, and old sessions count less."""

    backward: float = 0.5
    half_life_days: float | None = 30.0
    age: float = 2.0


def train(interactions: Interactions, parameters: RuleParameters) -> SequentialRules:
    """Returns the followers of each item, best first. Raises ConfigurationInvalid if times are unknown.

    A score is the follower's share of the weight of all followers of the item.
    """
    pairs = _pairs(recorded(interactions), len(interactions.item_ids), parameters)
    totals = np.asarray(pairs.sum(axis=1)).ravel()
    pairs.data /= np.repeat(np.maximum(totals, np.finfo(np.float32).tiny), np.diff(pairs.indptr)).astype(np.float32)
    indices, scores = top_k_rows(pairs, parameters.width)
    return SequentialRules(interactions.item_ids, indices, scores, parameters.age, parameters.same)


def _pairs(sessions: Recorded, count: int, parameters: RuleParameters) -> sp.csr_matrix:
    """Returns summed weights of pairs (I, I) float32. Row i holds the followers of item i."""
    numbers, items = sessions.numbers, sessions.items
    weights = _worth(sessions, parameters.half_life_days)[numbers].astype(np.float32)
    summed = sp.csr_matrix((count, count), dtype=np.float32)
    for apart in range(1, min(parameters.window, items.size - 1) + 1):
        together = numbers[apart:] == numbers[:-apart]
        pair = items[:-apart][together], items[apart:][together]
        summed = summed + sp.csr_matrix((weights[apart:][together] / apart, pair), shape=(count, count))
    if parameters.backward:
        summed = summed + summed.T.tocsr() * np.float32(parameters.backward)
    summed.sum_duplicates()
    return summed


def _worth(sessions: Recorded, half_life_days: float | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Returns the weight of each session, 1 for the newest."""
    if half_life_days is None:
        return np.ones(sessions.times.size)
    halvings = (sessions.times - sessions.times[-1]) / (half_life_days * _DAY)
    # At most a hundred halvings, so that the weight stays above 0 in float32.
    return np.asarray(np.exp2(np.maximum(halvings, -100.0)))


def needs_mib(interactions: Interactions, parameters: RuleParameters) -> float:
    """Returns the maximum memory of all pairs in MiB, at 24 bytes for each pair."""
    return 24 * parameters.window * int(interactions.matrix.nnz) / 2**20


def _train(interactions: Interactions, parameters: RuleParameters, _: Context) -> SequentialRules:
    return train(interactions, parameters)


def _algorithm(name: str, about: str, parameters: type[RuleParameters], **space: Any) -> Algorithm[Any]:
    return Algorithm(
        name=name,
        about=about,
        parameters=parameters,
        train=_train,
        space={"window": IntegerRange(1, 20), "age": FloatRange(0.2, 5.0), "same": FloatRange(0.1, 10.0), **space},
        needs_mib=needs_mib,
        kind=SequentialRules.kind,
    )


ALGORITHMS: Final = (
    _algorithm("sequential-rules", "what came after the newest items in others' sessions", RuleParameters),
    _algorithm(
        "co-visitation",
        "what came near the newest items in others' sessions, either way, the newest sessions counting most",
        CoVisitParameters,
        backward=FloatRange(0.0, 1.0, log=False),
        half_life_days=FloatRange(0.5, 365.0),
    ),
)
