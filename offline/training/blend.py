"""A blend of other algorithms, with weights learned on a validation slice of the training part.

Each component is trained without the slice, the weights are those of the best mean reciprocal-logarithmic rank of what
was held out (NDCG of one item, without a cutoff), and then every component is trained again on everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, best_rows
from models.blend import Blend, Component, standard
from models.recommender import Recommender
from offline.dataset import Interactions
from offline.splits import HoldOut, inner
from offline.training.algorithm import Algorithm, Context
from offline.training.parameters import SEED
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid

_CELLS: Final = 4_000_000
_STEPS: Final = (0.16, 0.08, 0.04, 0.02)
"""How far a weight is moved at once: coarse, then fine."""

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class BlendParameters:
    """Of a blend; raises ConfigurationInvalid where a value cannot work."""

    components: tuple[str, ...] = ("ease-auto", "ials")
    """Names of algorithms, each once."""
    settings: Settings = field(default_factory=lambda: {"ials": {"factors": 256}})
    """Parameters that differ from an algorithm's defaults, by its name; of one that is not blended they say nothing."""
    people: int = 5_000
    """At most so many are asked for an item held out of theirs."""
    depth: int = 300
    """How many of each component's best items compete with the held-out one."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not self.components or len(set(self.components)) < len(self.components):
            raise ConfigurationInvalid("a blend needs components, each named once")
        if "blend" in self.components:
            raise ConfigurationInvalid("a blend cannot be a component of itself: name the algorithms that it blends")
        if self.people < 1 or self.depth < 1:
            raise ConfigurationInvalid("people and depth of a blend must be above 0")


class Using(NamedTuple):
    """An algorithm with its parameters."""

    algorithm: Algorithm[Any]
    parameters: Any

    def train(self, interactions: Interactions, context: Context) -> Recommender:
        """Its model of these interactions."""
        return self.algorithm.train(interactions, self.parameters, context)


class _Contest(NamedTuple):
    """Standard scores of what competes for one place with each held-out item."""

    wanted: Floats
    """(n, C): the held-out items'."""
    others: Floats
    """(n, M, C): the best items' of each component; -inf where there is none."""


def train(interactions: Interactions, parameters: BlendParameters, context: Context) -> Blend:
    """Weights from a slice, then components from everything; one whose weight is 0 is left out.

    Raises NothingToTrain where nobody has enough to hold out, ConfigurationInvalid for an unknown component.
    """
    chosen, alone = using_each(parameters.components, parameters.settings), replace(context, previous=None)
    part, held = inner(interactions, users=parameters.people, seed=parameters.seed)
    weights = learned(_contest(part, held, [one.train(part, alone) for one in chosen], parameters.depth))
    used = [(one, weight) for one, weight in zip(chosen, weights, strict=True) if weight > 0]
    components = tuple(Component(one.algorithm.name, one.train(interactions, alone)) for one, _ in used)
    return Blend(components, np.array([weight for _, weight in used], dtype=np.float32))


def needs_mib(interactions: Interactions, parameters: BlendParameters) -> float:
    """What the components need that say so, together; in MiB."""
    return all_need_mib(interactions, using_each(parameters.components, parameters.settings))


def all_need_mib(interactions: Interactions, chosen: Sequence[Using]) -> float:
    """What those need that say so, together; in MiB."""
    stated = [(one.algorithm.needs_mib, one.parameters) for one in chosen]
    return sum(needs(interactions, of) for needs, of in stated if needs is not None)


def using_each(components: Sequence[str], settings: Settings) -> list[Using]:
    """Algorithms by name, with settings in place of their defaults; raises ConfigurationInvalid for an unknown one."""
    return [_using(name, settings.get(name, {})) for name in components]


def _using(name: str, settings: Mapping[str, Any]) -> Using:
    found = algorithm(name)
    try:
        return Using(found, found.parameters(**settings))
    except TypeError as error:
        raise ConfigurationInvalid(f"{name} cannot be blended with these settings: {error}") from error


def learned(contest: _Contest) -> tuple[float, ...]:
    """Weights of the components, none below 0, their sum 1: the best that moving one at a time leads to.

    From each component alone and from all alike; of equally good ones the first that was found.
    """
    count = contest.wanted.shape[1]
    starts = [np.full(count, 1 / count), *np.eye(count)]
    best = max((_climb(contest, start) for start in starts), key=lambda found: found[0])[1]
    return tuple(float(weight) for weight in best)


def _climb(contest: _Contest, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The score reached from these weights, and where."""
    reached = _gain(contest, weights)
    for step in _STEPS:
        better = True
        while better:
            moves = [(_gain(contest, moved), moved) for moved in _moves(weights, step)]
            gain, moved = max(moves, key=lambda move: move[0], default=(reached, weights))
            better = gain > reached
            if better:
                reached, weights = gain, moved
    return reached, weights


def _moves(weights: NDArray[np.float64], step: float) -> list[NDArray[np.float64]]:
    """The weights with one of them ``step`` larger or smaller, scaled to a sum of 1."""
    moved = []
    for at in range(weights.size):
        for change in (step, -step):
            other = weights.copy()
            other[at] = max(0.0, other[at] + change)
            if other.sum() > 0:
                moved.append(other / other.sum())
    return moved


def _gain(contest: _Contest, weights: NDArray[np.float64]) -> float:
    """The mean of 1 / log2(1 + rank) of the held-out items among what competes with them."""
    using = weights > 0
    at = weights[using].astype(np.float32)
    wanted = contest.wanted[:, using] @ at
    others = contest.others[:, :, using] @ at
    above = (others > wanted[:, None]).sum(axis=1) + (others == wanted[:, None]).sum(axis=1) / 2
    return float(np.mean(1 / np.log2(2 + above)))


def _contest(part: Interactions, held: HoldOut, models: Sequence[Recommender], depth: int) -> _Contest:
    """What each component says of the held-out items and of the best others."""
    rows = np.array([row for row in held.rows.tolist() if held.known[row].size], dtype=np.intp)
    step = max(1, _CELLS // len(part.item_ids))
    blocks = [_compete(part, held, models, depth, rows[at : at + step]) for at in range(0, rows.size, step)]
    return _Contest(np.concatenate([each.wanted for each in blocks]), np.concatenate([each.others for each in blocks]))


def _compete(
    part: Interactions, held: HoldOut, models: Sequence[Recommender], depth: int, rows: NDArray[np.intp]
) -> _Contest:
    """``_contest`` of some people."""
    people = np.arange(rows.size)
    targets = np.array([held.known[row][0] for row in rows.tolist()], dtype=np.intp)
    histories, seen = part.histories(rows), part.matrix[rows]
    away = np.repeat(people, np.diff(seen.indptr)), seen.indices
    scores = [standard(model.score_histories(histories)) for model in models]
    places = [_best(each, away, targets, depth) for each in scores]
    together = np.concatenate(places, axis=1)
    others = np.stack([np.take_along_axis(each, together, axis=1) for each in scores], axis=2)
    # An item that two components name competes once.
    order = np.argsort(together, axis=1, kind="stable")
    ordered = np.take_along_axis(together, order, axis=1)
    again = np.zeros_like(ordered, dtype=bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    others = np.take_along_axis(others, order[:, :, None], axis=1)
    others[again] = -np.inf
    return _Contest(np.stack([each[people, targets] for each in scores], axis=1), others)


def _best(
    scores: Floats, seen: tuple[NDArray[Any], NDArray[Any]], targets: NDArray[np.intp], depth: int
) -> NDArray[np.intp]:
    """Each row's best items, neither seen nor the target; where there are fewer, the first again and again."""
    free = scores.copy()
    free[seen] = -np.inf
    free[np.arange(targets.size), targets] = -np.inf
    found = best_rows(free, depth)
    short = np.arange(found.positions.shape[1]) >= found.lengths[:, None]
    return np.where(short, found.positions[:, :1], found.positions)


ALGORITHM: Final = Algorithm(
    name="blend",
    about="several algorithms' standard scores, with weights learned on a validation slice",
    parameters=BlendParameters,
    train=train,
    needs_mib=needs_mib,
    kind=Blend.kind,
)
