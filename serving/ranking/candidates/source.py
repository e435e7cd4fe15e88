"""What a candidate source declares of itself: one file a source, ``SOURCE`` (or ``SOURCES``) in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from serving.ranking.context import Candidates, RankingContext

Scope = Literal["user", "everybody"]


class Sentence(NamedTuple):
    """How a reason is worded."""

    alone: str
    """Where no seed is named: "others went on to this"."""
    from_seed: str = "because of {item}"
    """Where the seed is named and it is not said what the user did with it."""
    after_seed: str = ""
    """What follows "because you liked Hades": "others went on to this"; empty: nothing."""


@dataclass(frozen=True)
class CandidateSource:
    """One way to find candidates: a pure function of the ranking context, and what is said of it."""

    name: str
    """Its name in reasons, metrics and configuration."""
    weight: float
    """Weight of its scores in the blend, unless the site configures or learns another; 0 switches it off."""
    sentence: Sentence
    generate: Callable[[RankingContext], Candidates]
    """Returns its candidates, scores 0 to 1, of allowed positions alone."""
    needs: tuple[str, ...] = ()
    """Fields of ``ModelBundle`` of which it needs one at least; empty: live signals are enough."""
    scope: Scope = "user"
    """``everybody``: made of what all people do; its weight fades as more is known of the user."""
    order: int = 1_000
    """Scores are summed, and outcomes recorded, in this order; equal ones by name."""
