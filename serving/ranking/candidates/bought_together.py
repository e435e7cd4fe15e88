"""``bought_together``: items that others put in the same baskets, playlists and collections as the newest items."""

from __future__ import annotations

from itertools import islice

from serving.ranking.candidates.covisitation import linked_items
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, shrink, sum_by_item
from signals.kinds.baskets import HALF_LIFE


def generate(context: RankingContext) -> Candidates:
    """Companions of the newest items, scored as ``covisitation`` scores co-visited items."""
    newest = islice(context.profile.recent.items(), context.config.covisit_seeds)
    candidates = sum_by_item(context, linked_items(context, newest, context.signals.aggregates.companions, HALF_LIFE))
    return candidates._replace(scores=shrink(candidates.scores, context.config.covisit_support))


SOURCE = CandidateSource(
    name="bought_together",
    weight=0.3,
    sentence=Sentence(
        "others put this with it", "others put this together with {item}", after_seed="others put this with it"
    ),
    generate=generate,
    order=8,
)
