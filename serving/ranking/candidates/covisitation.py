"""``covisitation``: items that others went on to after the newest items of this user (co-visitation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import exp2, log2
from typing import Final

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, SeedMatches, shrink, sum_by_item
from serving.state.covisits import CovisitedItems
from signals.kinds.covisits import HALF_LIFE

_BUSY: Final = 20.0
"""Counts are decayed to now, but only until the total of the busiest seed has fallen to this number."""


def generate(context: RankingContext) -> Candidates:
    """Items co-visited after the newest ones; older seeds count less, and many co-visits bring a score near 1."""
    seeds = islice(context.profile.recent.items(), context.config.covisit_seeds)
    candidates = sum_by_item(context, covisited_items(context, seeds))
    return candidates._replace(scores=shrink(candidates.scores, context.config.covisit_support))


def covisited_items(context: RankingContext, seeds: Iterable[tuple[int, float]]) -> Iterator[SeedMatches]:
    """For each seed, the items visited after it: seed weight × co-visits^``covisit_power`` / all co-visits of the seed^``covisit_damping``."""
    return linked_items(context, seeds, context.signals.aggregates.followers, HALF_LIFE)


def linked_items(
    context: RankingContext,
    seeds: Iterable[tuple[int, float]],
    links: Callable[[int], CovisitedItems | None],
    half_life: float,
) -> Iterator[SeedMatches]:
    """``covisited_items`` for links of any kind; ``half_life`` (seconds) is that of their counts."""
    linked = [(seed, weight, own) for seed, weight in seeds if (own := links(seed)) is not None and own.items.size]
    if not linked:
        return
    power, damping = context.config.covisit_power, context.config.covisit_damping
    # On a site that nobody visits any more, decay stops at its last busy moment, so that the links keep their scores.
    since = min(context.request.now / half_life, max(own.total for _, _, own in linked) - log2(_BUSY))
    for seed, weight, own in linked:
        visits = own.total - since
        counts = weight * exp2(power * visits - damping * log2(1.0 + exp2(visits)))
        yield SeedMatches(seed, counts, own.items, own.shares(power))


SOURCE = CandidateSource(
    name="covisitation",
    weight=1.0,
    sentence=Sentence(
        "others went on to this", "others went on to this from {item}", after_seed="others went on to this"
    ),
    generate=generate,
    order=7,
)
