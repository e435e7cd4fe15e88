"""A blend of other algorithms, with weights learned on a validation slice of the training part.

Each component is first trained without the slice. The weights maximize the mean NDCG, without a cutoff, of single held-out
items; each person counts the same. Then every component is trained again on all data. The held-out items of one person
do not compete with each other.
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
"""Step sizes of a weight in the search: coarse, then fine."""

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class BlendParameters:
    """Parameters of a blend. Raises ConfigurationInvalid for an invalid value."""

    components: tuple[str, ...] = ("ease-auto", "ials")
    """Names of distinct algorithms."""
    settings: Settings = field(default_factory=lambda: {"ials": {"factors": 256}})
    """Parameters by algorithm that differ from its defaults. Those of an algorithm that is not a component are ignored."""
    people: int = 5_000
    """Maximum number of people in the validation slice."""
    share: float = 0.0
    """Share of each person's items that is held out, rounded up. 0: one item, the newest if times are known."""
    depth: int = 300
    """Number of top items of each component that compete with a held-out item."""
    sampled: int = 0
    """If above 0, this number of random items competes instead, as in a test with sampled ranking."""
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
        """Returns the model of these interactions."""
        return self.algorithm.train(interactions, self.parameters, context)


class _Contest(NamedTuple):
    """Standard scores of the m held-out items of n people and of their competitors, by C components."""

    people: NDArray[np.intp]
    """(m,) the person of each held-out item, numbered from 0 without gaps."""
    wanted: Floats
    """(m, C) scores of the held-out items."""
    others: Floats
    """(n, M, C) scores of each person's competing items, padded with -inf."""


def train(interactions: Interactions, parameters: BlendParameters, context: Context) -> Blend:
    """Learns weights on a slice, then trains the components on all data. Components of weight 0 are dropped.

    Raises NothingToTrain if nobody has enough items to hold out, ConfigurationInvalid for an unknown component.
    """
    chosen = using_each(parameters.components, parameters.settings)
    component_context = replace(context, previous=None)
    part, held = inner(interactions, users=parameters.people, seed=parameters.seed, share=parameters.share)
    weights = weights_of([using.train(part, component_context) for using in chosen], part, held, parameters)
    used = [(using, weight) for using, weight in zip(chosen, weights, strict=True) if weight > 0]
    components = tuple(
        Component(using.algorithm.name, using.train(interactions, component_context)) for using, _ in used
    )
    return Blend(components, np.array([weight for _, weight in used], dtype=np.float32))


def weights_of(
    models: Sequence[Recommender], part: Interactions, held: HoldOut, parameters: BlendParameters
) -> tuple[float, ...]:
    """Returns the best weights, of sum 1, for the held-out items. The models were trained on ``part``."""
    return learned(_contest(part, held, models, parameters))


def needs_mib(interactions: Interactions, parameters: BlendParameters) -> float:
    """Returns the summed memory estimates of the components, in MiB."""
    return all_need_mib(interactions, using_each(parameters.components, parameters.settings))


def all_need_mib(interactions: Interactions, chosen: Sequence[Using]) -> float:
    """Returns the summed memory estimates in MiB. Algorithms without an estimate count as 0."""
    estimates = [(using.algorithm.needs_mib, using.parameters) for using in chosen]
    return sum(needs(interactions, parameters) for needs, parameters in estimates if needs is not None)


def using_each(components: Sequence[str], settings: Settings) -> list[Using]:
    """Returns algorithms by name, with these settings in place of defaults. Raises ConfigurationInvalid for an unknown name."""
    return [_using(name, settings.get(name, {})) for name in components]


def _using(name: str, settings: Mapping[str, Any]) -> Using:
    chosen = algorithm(name)
    try:
        return Using(chosen, chosen.parameters(**settings))
    except TypeError as error:
        raise ConfigurationInvalid(f"{name} cannot be blended with these settings: {error}") from error


def learned(contest: _Contest) -> tuple[float, ...]:
    """Returns the best non-negative weights of sum 1 by coordinate search.

    The search starts from equal weights and from each component alone. Of equal results, the first wins.
    """
    count = contest.wanted.shape[1]
    starts = [np.full(count, 1 / count), *np.eye(count)]
    best = max((_climb(contest, start) for start in starts), key=lambda result: result[0])[1]
    return tuple(float(weight) for weight in best)


def _climb(contest: _Contest, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Returns the best gain that a search from these weights reaches, and its weights."""
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
    """Returns the weights with one of them larger or smaller by ``step``, scaled to sum 1."""
    moved = []
    for index in range(weights.size):
        for change in (step, -step):
            other = weights.copy()
            other[index] = max(0.0, other[index] + change)
            if other.sum() > 0:
                moved.append(other / other.sum())
    return moved


def _gain(contest: _Contest, weights: NDArray[np.float64]) -> float:
    """Returns the mean over people of the mean of 1 / log2(1 + rank) of their held-out items among the competitors."""
    used = weights > 0
    positive = weights[used].astype(np.float32)
    wanted = (contest.wanted[:, used] @ positive)[:, None]
    others = (contest.others[:, :, used] @ positive)[contest.people]
    above = (others > wanted).sum(axis=1) + (others == wanted).sum(axis=1) / 2
    sums = np.bincount(contest.people, weights=1 / np.log2(2 + above))
    return float(np.mean(sums / np.bincount(contest.people)))


def _contest(part: Interactions, held: HoldOut, models: Sequence[Recommender], parameters: BlendParameters) -> _Contest:
    """Returns the scores of the held-out items and of their competitors by all components."""
    rows = np.array([row for row in held.rows.tolist() if held.known[row].size], dtype=np.intp)
    step = max(1, _CELLS // len(part.item_ids))
    random = np.random.default_rng(parameters.seed)
    blocks = [
        _compete(part, held, models, rows[start : start + step], parameters, random)
        for start in range(0, rows.size, step)
    ]
    people = np.repeat(np.arange(rows.size), [held.known[row].size for row in rows.tolist()])
    wanted, others = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return _Contest(people, wanted, others)


def _compete(
    part: Interactions,
    held: HoldOut,
    models: Sequence[Recommender],
    rows: NDArray[np.intp],
    parameters: BlendParameters,
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Returns ``wanted`` and ``others`` of these people."""
    histories, seen = part.histories(rows), part.matrix[rows]
    known = [held.known[row] for row in rows.tolist()]
    targets = np.repeat(np.arange(rows.size), [items.size for items in known]), np.concatenate(known)
    away = [targets, (np.repeat(np.arange(rows.size), np.diff(seen.indptr)), seen.indices)]
    scores = [standard(model.score_histories(histories)) for model in models]
    if parameters.sampled:
        positions = _best(random.random(scores[0].shape, dtype=np.float32), away, parameters.sampled)
    else:
        positions = np.concatenate([_best(component, away, parameters.depth) for component in scores], axis=1)
    return np.stack([component[targets] for component in scores], axis=1), _once(scores, np.sort(positions, axis=1))


def _once(scores: Sequence[Floats], positions: NDArray[np.intp]) -> Floats:
    """Returns the scores of these items by each component. Rows are sorted; a repeated item gets -inf."""
    others = np.stack([np.take_along_axis(component, positions, axis=1) for component in scores], axis=2)
    others[:, 1:][positions[:, 1:] == positions[:, :-1]] = -np.inf
    return others


def _best(scores: Floats, away: Sequence[tuple[NDArray[Any], NDArray[Any]]], depth: int) -> NDArray[np.intp]:
    """Returns the best items of each row outside ``away``. A short row is padded with its first item."""
    free = scores.copy()
    for cells in away:
        free[cells] = -np.inf
    best = best_rows(free, depth)
    short = np.arange(best.positions.shape[1]) >= best.lengths[:, None]
    return np.where(short, best.positions[:, :1], best.positions)


ALGORITHM: Final = Algorithm(
    name="blend",
    about="several algorithms' standard scores, with weights learned on a validation slice",
    parameters=BlendParameters,
    train=train,
    needs_mib=needs_mib,
    kind=Blend.kind,
)
