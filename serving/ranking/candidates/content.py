"""``content``: items with a description like that of the newest items; this finds items that nobody has visited yet."""

from __future__ import annotations

from itertools import islice

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, SeedMatches, max_normalize, sum_by_item


def generate(context: RankingContext) -> Candidates:
    """Items that share rare terms with the newest items; older seeds count less."""
    similar, count = context.catalogue.text.alike, context.config.neighbours
    newest = islice(context.profile.recent.items(), context.config.text_seeds)
    matches = (SeedMatches(seed, weight, *similar(seed, count)) for seed, weight in newest)
    # The best match of each seed comes first.
    candidates = sum_by_item(
        context, (match._replace(weight=match.weight / match.scores[0]) for match in matches if match.scores.size)
    )
    return candidates._replace(scores=max_normalize(candidates.scores))


SOURCE = CandidateSource(
    name="content",
    weight=0.1,
    sentence=Sentence("reads much like it", "reads much like {item}", after_seed="it reads much like it"),
    generate=generate,
    order=10,
)
