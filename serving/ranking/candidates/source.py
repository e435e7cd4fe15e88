"""The declaration of a candidate source: each file of this folder has a ``SOURCE``, or several ``SOURCES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from serving.ranking.context import Candidates, RankingContext

Scope = Literal["user", "everybody"]


class Sentence(NamedTuple):
    """How a reason is worded."""

    alone: str
    """Without a seed: "others went on to this"."""
    from_seed: str = "because of {item}"
    """With the seed, where it is not known what the user did with it."""
    after_seed: str = ""
    """Text after "because you liked Hades: ", such as "others went on to this"; may be empty."""


@dataclass(frozen=True)
class CandidateSource:
    """One way to find candidates: a pure function of the ranking context, with its name, weight and sentence."""

    name: str
    """Its name in reasons, metrics and configuration."""
    weight: float
    """Weight of its scores in the blend, unless another one is configured or learned; 0 switches it off."""
    sentence: Sentence
    generate: Callable[[RankingContext], Candidates]
    """Returns its candidates: allowed positions only, with scores from 0 to 1."""
    needs: tuple[str, ...] = ()
    """Fields of ``ModelBundle`` that ``generate`` reads, for the docs: it proposes nothing where the version has none of them."""
    scope: Scope = "user"
    """``everybody``: the candidates are the same for all users; the weight falls as more is known about the user."""
    order: int = 1_000
    """Scores are summed, and outcomes recorded, in this order; equal ones by name."""
