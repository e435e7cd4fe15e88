"""Weights of candidate sources, learned from the items that people chose: a conditional logit over candidates.

McFadden, "Conditional logit analysis of qualitative choice behavior", 1974: a person chooses one
of the candidates with probability softmax(Σ w·f), where f are the curves over the scores of all sources. Weights are not
negative, so that the share of each source in a score can be shown as a reason. Weights are learned first for everybody,
then for each segment with a ridge towards those of everybody. Expected weights act as a prior: further choices among the
same candidates, drawn by these weights. The better the expected weights fit the real choices, the larger this share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from models.source_weights import CURVES, Revisits, SourceWeight, SourceWeights, curves
from models.structures.arrays import Doubles, Floats
from models.structures.sparse import row_positions

EDGES: Final = (3, 10, 40)
"""Numbers of interactions at which a person enters the next segment."""
TOTAL: Final = 2.0
"""Weights are scaled to this sum: about that of the configured ones, against which ``dislike_share`` is subtracted."""
_SHARPEST: Final = 200.0
"""Largest weight before scaling, so that choices that one source explains completely still have a finite optimum."""
_NOTHING: Final = SourceWeight(0.0)
_ENOUGH: Final = 1e-6
"""Minimum relative gain in log-likelihood of a further step."""


Expected = Callable[[int], Mapping[str, SourceWeight]]
"""Returns the expected weights of sources for a user with this number of interactions: the prior before any learning."""


class SourceChoice(NamedTuple):
    """One choice of a person: the scores (C, S), from 0 to 1, of C candidates by S sources, and the chosen candidate."""

    scores: Floats
    chosen: int
    interactions: int
    person: str


@dataclass(frozen=True, kw_only=True)
class WeightParameters:
    """Parameters of learning. The ridges are in units of the log-likelihood of one choice."""

    ridge: float = 0.02
    """Pulls everybody's weights to 0."""
    segment_ridge: float = 10.0
    """Pulls a segment's weights to everybody's."""
    least: int = 50
    """Minimum number of choices for learning about a segment or a source."""


def learn(
    choices: Sequence[SourceChoice],
    sources: tuple[str, ...],
    expected: Expected | None = None,
    parameters: WeightParameters | None = None,
    *,
    revisits: Revisits = Revisits.NONE,
) -> SourceWeights | None:
    """Returns the weights of maximum likelihood. None if there are too few choices.

    A source that seldom proposed a candidate gets no weight.
    """
    how = parameters or WeightParameters()
    if len(choices) < how.least:
        return None
    proposing = np.sum([choice.scores.any(axis=0) for choice in choices], axis=0)
    frequent_sources = np.flatnonzero(proposing >= how.least)
    if not frequent_sources.size:
        return None
    names = tuple(sources[source] for source in frequent_sources)
    known = _ChoiceModel.of([choice._replace(scores=choice.scores[:, frequent_sources]) for choice in choices])
    if expected is not None:
        weights = np.array(
            [[expected(choice.interactions).get(name, _NOTHING) for name in names] for choice in choices]
        )
        people = len({choice.person for choice in choices})
        with_expected_choices = known.with_expected_choices(weights.astype(np.float32), people, how.ridge)
        if with_expected_choices is None:
            return SourceWeights.unlearned(revisits)
        known = with_expected_choices
    segments = np.array(_by_segment(known, np.array([choice.interactions for choice in choices]), how))
    scaled = segments * (TOTAL / np.maximum(segments.sum(axis=1, keepdims=True), np.finfo(float).tiny))
    learned = scaled.reshape(len(segments), CURVES, frequent_sources.size).transpose(0, 2, 1)
    return SourceWeights(names, np.array(EDGES), learned, revisits)


def _by_segment(known: _ChoiceModel, interactions: NDArray[np.int64], how: WeightParameters) -> list[Doubles]:
    width = known.features.shape[1]
    everybody = known.fitted(np.zeros(width), how.ridge, np.ones(width))
    segment_numbers = np.searchsorted(EDGES, interactions, side="right")
    segments = []
    for number in range(len(EDGES) + 1):
        choice_numbers = np.flatnonzero(segment_numbers == number)
        enough = choice_numbers.size >= how.least
        segments.append(
            known.subset(choice_numbers).fitted(everybody, how.segment_ridge, everybody) if enough else everybody
        )
    return segments


@dataclass(frozen=True)
class _ChoiceModel:
    """M choices with N candidates in all: features (N, CURVES · S), counts of candidates (M,), and shares (N,).

    The share of a candidate is the probability that it is chosen. The shares of a choice sum to 1.
    """

    features: Floats
    counts: NDArray[np.int64]
    shares: Doubles

    @classmethod
    def of(cls, choices: Sequence[SourceChoice]) -> _ChoiceModel:
        scores = np.concatenate([choice.scores for choice in choices]).astype(np.float32)
        counts = np.array([choice.scores.shape[0] for choice in choices])
        chosen = np.concatenate([np.arange(len(choice.scores)) == choice.chosen for choice in choices])
        return cls(np.concatenate(list(curves(scores)), axis=1), counts, chosen.astype(np.float64))

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """(M,) position of the first candidate of each choice."""
        begins: NDArray[np.int64] = np.cumsum(self.counts) - self.counts
        return begins

    def subset(self, numbers: NDArray[np.intp]) -> _ChoiceModel:
        """Returns the choices of these numbers."""
        rows = row_positions(self.begins[numbers], self.counts[numbers])
        return _ChoiceModel(self.features[rows], self.counts[numbers], self.shares[rows])

    def with_expected_choices(self, weights: Floats, people: int, ridge: float) -> _ChoiceModel | None:
        """Adds further choices, drawn by the expected weights (M, S, CURVES). Their sharpness is fitted to the real choices.

        They get the share (width - 2) / gain of the estimate (James, Stein, "Estimation with quadratic loss", 1961). The gain is
        the likelihood-ratio statistic, about χ², of freely fitted weights against the expected ones.
        All choices of one person count as one, so that a few busy people do not outweigh everybody. None if the share is
        1: the choices are explained by the expected weights as well as by their own.
        """
        rows = weights.transpose(0, 2, 1).reshape(len(weights), -1).repeat(self.counts, axis=0)
        prior = replace(self, features=(self.features * rows).sum(axis=1, keepdims=True))
        sharpness = prior.fitted(np.zeros(1), 0.0, np.ones(1))
        width = self.features.shape[1]
        own = self.fitted(np.zeros(width), ridge, np.ones(width))
        gain = 2.0 * people * (prior.loss(sharpness)[0] - self.loss(own)[0])
        if gain <= width - 2:
            return None
        share = (width - 2) / gain
        further, _ = self.choice_probabilities(prior.totals(sharpness))
        return replace(self, shares=(1.0 - share) * self.shares + share * further)

    def totals(self, weights: Doubles) -> Doubles:
        """Returns the score of each candidate (N,) by these weights."""
        totals: Doubles = (self.features @ weights.astype(np.float32)).astype(np.float64)
        return totals

    def choice_probabilities(self, totals: Doubles) -> tuple[Doubles, Doubles]:
        """Returns the probability of each candidate (N,), and the log of the softmax denominator of each choice (M,)."""
        tops = np.maximum.reduceat(totals, self.begins)
        exponentials = np.exp(totals - np.repeat(tops, self.counts))
        sums = np.add.reduceat(exponentials, self.begins)
        return exponentials / np.repeat(sums, self.counts), np.log(sums) + tops

    def loss(self, weights: Doubles) -> tuple[float, Doubles]:
        """Returns the mean cross-entropy and its gradient."""
        totals = self.totals(weights)
        probabilities, sums = self.choice_probabilities(totals)
        loss = sums.sum() - self.shares @ totals
        gradient = (probabilities - self.shares).astype(np.float32) @ self.features
        return float(loss) / self.counts.size, gradient.astype(np.float64) / self.counts.size

    def fitted(self, centre: Doubles, ridge: float, start: Doubles) -> Doubles:
        """Returns the non-negative weights that minimize the loss plus the ridge around ``centre``."""
        strength = ridge / self.counts.size

        def objective(weights: Doubles) -> tuple[float, Doubles]:
            loss, gradient = self.loss(weights)
            away = weights - centre
            return loss + strength * float(away @ away), gradient + 2 * strength * away

        bounds: Any = [(0.0, _SHARPEST)] * centre.size
        solution = scipy.optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": _ENOUGH}
        )
        weights: Doubles = solution.x
        return weights
