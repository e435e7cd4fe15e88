"""A blend of other algorithms, with weights learned on a validation slice of the training part.

Each component is trained without the slice, the weights are those of the best mean reciprocal-logarithmic rank of what
was held out (NDCG of one item, without a cutoff; each person counts as much), and then every component is trained again
on everything. One held-out item of a person does not compete with the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.blend import Blend, standard
from models.structures.arrays import Floats, best_rows
from models.structures.components import Component
from models.structures.recommender import Recommender
from offline.data.dataset import Interactions
from offline.data.splits import HoldOut, inner
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
    """At most so many are asked for what is held out of theirs."""
    share: float = 0.0
    """Of each one's items, that is held out, rounded up; 0: one item, the newest where times are known."""
    depth: int = 300
    """How many of each component's best items compete with a held-out one."""
    sampled: int = 0
    """Where above 0, so many random items compete instead, as a test does that ranks a sample only."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not self.components or len(set(self.components)) < len(self.components):
            raise ConfigurationInvalid("a blend needs components, each named once")
        if "blend" in self.components:
            raise ConfigurationInvalid("a blend cannot be a component of itself: name the algorithms that it blends")
        if self.people < 1 or self.depth < 1 or self.sampled < 0 or not 0 <= self.share < 1:
            raise ConfigurationInvalid(
                "people and depth of a blend must be above 0, sampled not below 0, share from 0 to less than 1"
            )


class Using(NamedTuple):
    """An algorithm with its parameters."""

    algorithm: Algorithm[Any]
    parameters: Any

    def train(self, interactions: Interactions, context: Context) -> Recommender:
        """Its model of these interactions."""
        return self.algorithm.train(interactions, self.parameters, context)


class _Contest(NamedTuple):
    """Standard scores of the m held-out items of n people and of what competes with them."""

    people: NDArray[np.intp]
    """(m,): whose each held-out item is, from 0 and without gaps."""
    wanted: Floats
    """(m, C): the held-out items'."""
    others: Floats
    """(n, M, C): those of each person's other items that compete; -inf where there is none."""


def train(interactions: Interactions, parameters: BlendParameters, context: Context) -> Blend:
    """Weights from a slice, then components from everything; one whose weight is 0 is left out.

    Raises NothingToTrain where nobody has enough to hold out, ConfigurationInvalid for an unknown component.
    """
    chosen, alone = using_each(parameters.components, parameters.settings), replace(context, previous=None)
    part, held = inner(interactions, users=parameters.people, seed=parameters.seed, share=parameters.share)
    weights = weights_of([one.train(part, alone) for one in chosen], part, held, parameters)
    used = [(one, weight) for one, weight in zip(chosen, weights, strict=True) if weight > 0]
    components = tuple(Component(one.algorithm.name, one.train(interactions, alone)) for one, _ in used)
    return Blend(components, np.array([weight for _, weight in used], dtype=np.float32))


def weights_of(
    models: Sequence[Recommender], part: Interactions, held: HoldOut, parameters: BlendParameters
) -> tuple[float, ...]:
    """The best weights of these models, which were trained on the part, for what was held out of it; their sum is 1."""
    return learned(_contest(part, held, models, parameters))


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
    """The mean over people of the mean of 1 / log2(1 + rank) of their held-out items among what competes with them."""
    using = weights > 0
    at = weights[using].astype(np.float32)
    wanted = (contest.wanted[:, using] @ at)[:, None]
    others = (contest.others[:, :, using] @ at)[contest.people]
    above = (others > wanted).sum(axis=1) + (others == wanted).sum(axis=1) / 2
    sums = np.bincount(contest.people, weights=1 / np.log2(2 + above))
    return float(np.mean(sums / np.bincount(contest.people)))


def _contest(part: Interactions, held: HoldOut, models: Sequence[Recommender], parameters: BlendParameters) -> _Contest:
    """What each component says of the held-out items and of those that compete with them."""
    rows = np.array([row for row in held.rows.tolist() if held.known[row].size], dtype=np.intp)
    step = max(1, _CELLS // len(part.item_ids))
    random = np.random.default_rng(parameters.seed)
    blocks = [
        _compete(part, held, models, rows[at : at + step], parameters, random) for at in range(0, rows.size, step)
    ]
    people = np.repeat(np.arange(rows.size), [held.known[row].size for row in rows.tolist()])
    wanted, others = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return _Contest(people, wanted, others)


def _compete(
    part: Interactions,
    held: HoldOut,
    models: Sequence[Recommender],
    rows: NDArray[np.intp],
    parameters: BlendParameters,
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    """``wanted`` and ``others`` of some people."""
    histories, seen = part.histories(rows), part.matrix[rows]
    known = [held.known[row] for row in rows.tolist()]
    targets = np.repeat(np.arange(rows.size), [items.size for items in known]), np.concatenate(known)
    away = [targets, (np.repeat(np.arange(rows.size), np.diff(seen.indptr)), seen.indices)]
    scores = [standard(model.score_histories(histories)) for model in models]
    if parameters.sampled:
        places = _best(random.random(scores[0].shape, dtype=np.float32), away, parameters.sampled)
    else:
        places = np.concatenate([_best(each, away, parameters.depth) for each in scores], axis=1)
    return np.stack([each[targets] for each in scores], axis=1), _once(scores, np.sort(places, axis=1))


def _once(scores: Sequence[Floats], places: NDArray[np.intp]) -> Floats:
    """Each component's scores of these items, which are sorted by row; -inf where one is named again."""
    others = np.stack([np.take_along_axis(each, places, axis=1) for each in scores], axis=2)
    others[:, 1:][places[:, 1:] == places[:, :-1]] = -np.inf
    return others


def _best(scores: Floats, away: Sequence[tuple[NDArray[Any], NDArray[Any]]], depth: int) -> NDArray[np.intp]:
    """Each row's best items but those that are away; where there are fewer, the first again and again."""
    free = scores.copy()
    for cells in away:
        free[cells] = -np.inf
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
