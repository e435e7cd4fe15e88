"""``text``: what is described like the newest items, so that an item is found that nobody has touched yet."""

from __future__ import annotations

from itertools import islice

from serving.ranking.context import Candidates, RankingContext, SeedMatches, max_normalize, sum_by_item


def candidates(scene: RankingContext) -> Candidates:
    """Items that share telling terms with the newest ones, less the older those are."""
    alike, count = scene.catalogue.text.alike, scene.config.neighbours
    newest = islice(scene.profile.recent.items(), scene.config.text_anchors)
    matches = (SeedMatches(at, weight, *alike(at, count)) for at, weight in newest)
    # What matches best comes first.
    found = sum_by_item(
        scene, (each._replace(weight=each.weight / each.scores[0]) for each in matches if each.scores.size)
    )
    return found._replace(scores=max_normalize(found.scores))
