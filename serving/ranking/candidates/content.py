"""``text``: what is described like the newest items, so that an item is found that nobody has touched yet."""

from __future__ import annotations

from itertools import islice

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import Candidates, RankingContext, SeedMatches, max_normalize, sum_by_item


def generate(context: RankingContext) -> Candidates:
    """Items that share telling terms with the newest ones, less the older those are."""
    alike, count = context.catalogue.text.alike, context.config.neighbours
    newest = islice(context.profile.recent.items(), context.config.text_seeds)
    matches = (SeedMatches(at, weight, *alike(at, count)) for at, weight in newest)
    # What matches best comes first.
    found = sum_by_item(
        context, (each._replace(weight=each.weight / each.scores[0]) for each in matches if each.scores.size)
    )
    return found._replace(scores=max_normalize(found.scores))


SOURCE = CandidateSource(
    name="text",
    weight=0.1,
    sentence=Sentence("reads much like it", "reads much like {item}", after_seed="it reads much like it"),
    generate=generate,
    order=10,
)
