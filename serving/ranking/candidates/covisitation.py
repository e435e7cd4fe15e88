"""``next``: what others went on to after the items that this person has just been at (co-visitation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import exp2, log2
from typing import Final

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, SeedMatches, shrink, sum_by_item
from serving.state.covisits import CovisitedItems
from signals.covisits import NEXT_HALF_LIFE

_LIVELY: Final = 20.0
"""Co-visits of the busiest of the newest items, below which they are not let to decay."""


def generate(context: RankingContext) -> Candidates:
    """Followers of the newest items, less the older the item is; scores near 1 where many co-visits support them."""
    found = sum_by_item(context, following(context, islice(context.profile.recent.items(), context.config.next_seeds)))
    return found._replace(scores=shrink(found.scores, context.config.next_support))


def following(context: RankingContext, anchors: Iterable[tuple[int, float]]) -> Iterator[SeedMatches]:
    """Each anchor's followers: its weight times co-visits^``next_power``, over its own activity^``next_damping``."""
    return linked(context, anchors, context.signals.aggregates.followers, NEXT_HALF_LIFE)


def linked(
    context: RankingContext,
    anchors: Iterable[tuple[int, float]],
    links: Callable[[int], CovisitedItems | None],
    half_life: float,
) -> Iterator[SeedMatches]:
    """``following`` for links of any kind, whose counts halve every ``half_life`` seconds."""
    found = [(at, weight, each) for at, weight in anchors if (each := links(at)) is not None and each.items.size]
    if not found:
        return
    power, damping = context.config.next_power, context.config.next_damping
    # Where all is long ago, time stands still at the last lively moment: what went together still does.
    since = min(context.request.now / half_life, max(each.total for _, _, each in found) - log2(_LIVELY))
    for at, weight, each in found:
        visits = each.total - since
        counts = weight * exp2(power * visits - damping * log2(1.0 + exp2(visits)))
        yield SeedMatches(at, counts, each.items, each.shares(power))


SOURCE = CandidateSource(
    name="next",
    weight=1.0,
    sentence=Sentence(
        "others went on to this", "others went on to this from {item}", after_seed="others went on to this"
    ),
    generate=generate,
    order=7,
)
