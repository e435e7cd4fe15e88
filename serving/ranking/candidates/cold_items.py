"""``cold_items``: items that nobody had at training, scored by factors that are predicted from their item data.

Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010.
"""

from __future__ import annotations

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext, best_allowed, max_normalize


def generate(context: RankingContext) -> Candidates:
    """The best cold items for the user's folded-in factors; the user's attributes are the prior where they are known."""
    hybrid = context.models.hybrid
    if hybrid is None or not hybrid.items.size or not context.profile.weights:
        return NO_CANDIDATES
    vector = hybrid.value.fold_in(context.interests, context.request.attributes or None)
    scores = (hybrid.value.cold_factors @ vector).astype(np.float32, copy=False)
    chosen = best_allowed(context, hybrid.items, scores, above=0.0)
    return Candidates(hybrid.items[chosen], max_normalize(scores[chosen]))


SOURCE = CandidateSource(
    name="cold_items",
    weight=0.2,
    sentence=Sentence("new, and described like what you like"),
    generate=generate,
    needs=("hybrid",),
    order=19,
)
