"""A candidate source of a site's own: items that share tags with what is trending now.

One file. It declares ``SOURCE``, and `FRESHET_PLUGINS` names the module.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize

TRENDING = 20
"""Trending items whose tags are counted."""
LAST_HOUR = 0
"""The number of the shortest half-life: one hour."""


def generate(context: RankingContext) -> Candidates:
    """Returns allowed items, each scored by how many trending items have its tags."""
    trending = context.signals.aggregates.decayed_top(LAST_HOUR, context.request.now).items[:TRENDING]
    tag_counts = Counter(tag for position in trending.tolist() for tag in tags_of(context, position))
    if not tag_counts:
        return NO_CANDIDATES
    items = np.flatnonzero(context.allowed).astype(np.int32)
    totals = [sum(tag_counts[tag] for tag in tags_of(context, position)) for position in items.tolist()]
    scores = max_normalize(np.array(totals, np.float32))
    best = best_allowed(context, items, scores, above=0.0)
    return Candidates(items[best], scores[best])


def tags_of(context: RankingContext, position: int) -> tuple[str, ...]:
    """The tags of the item at this position of the catalogue; none where only events name the item."""
    item = context.catalogue.item(position)
    return tuple(item.tags) if item is not None else ()


SOURCE = CandidateSource(
    name="trending_tags",
    weight=0.5,
    sentence=Sentence("its tags are trending"),
    generate=generate,
    scope="everybody",
)
