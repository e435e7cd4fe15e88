"""``revisits``: earlier items of the session, on a site where people often return to them."""

from __future__ import annotations

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates, RankingContext


def generate(context: RankingContext) -> Candidates:
    """The items of the session, newest first: the n-th has the score 1 / n."""
    items = context.revisitable
    if not items.size:
        return NO_CANDIDATES
    return Candidates(items, (1.0 / np.arange(1, items.size + 1)).astype(np.float32))


SOURCE = CandidateSource(
    name="revisits",
    weight=0.5,
    sentence=Sentence("you were here before"),
    generate=generate,
    needs=("source_weights",),
    order=6,
)
