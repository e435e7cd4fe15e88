"""``cluster_popular``: what is popular with the people of the user's cluster; learned offline, assigned online."""

from __future__ import annotations

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The most popular items of the cluster nearest to the user's interactions; none before the first interaction."""
    clusters = context.models.clusters
    if clusters is None or not context.profile.weights:
        return NO_CANDIDATES
    cluster = clusters.value.fold_in(context.interests)
    if cluster is None:
        return NO_CANDIDATES
    scores = clusters.value.score(cluster).astype(np.float32, copy=False)
    chosen = best_allowed(context, clusters.items, scores, above=0.0)
    return Candidates(clusters.items[chosen], max_normalize(scores[chosen]))


SOURCE = CandidateSource(
    name="cluster_popular",
    weight=0.2,
    sentence=Sentence("popular with people like you"),
    generate=generate,
    needs=("clusters",),
    order=18,
)
