"""How answers are ranked: everything that is a choice."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from models.session_knn import Voting
from schemas.answers import Boost
from schemas.errors import FilterInvalid
from serving.filtering.expressions import compiled
from signals.decay import DAY, HOUR
from signals.weights import DEFAULT_WEIGHTS, POPULATION_WEIGHTS


class RankingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about ranking that is a choice; equal values give an equal ``config_id``.

    Each source's scores are brought to 0..1 before ``sources`` weighs them; times are in seconds.
    """

    weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    population_weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(POPULATION_WEIGHTS))
    sources: dict[str, float]
    """Weights of the candidate sources by name; ``defaults.default_config`` gives those that they declare."""
    reach: int = 200
    """Candidates asked of each source; more where a page needs more."""
    profile_events: int = 64
    """Newest interactions read."""
    anchors: int = 8
    """Items of the profile that similar ones are looked up for."""
    neighbours: int = 60
    """Similar items looked up for one item."""
    half_life: float = 7 * DAY
    """An older event weighs half, counted from the person's newest one: a person who rests keeps the list."""
    session_boost: float = 2.0
    """How much more an event of the current session weighs."""
    mix: float = 10.0
    """Fresh evidence at which the folded-in vector counts as much as the trained one."""
    next_window: float = 30 * DAY
    """Co-visitation and session neighbours follow what was done this long before the person's newest event, or later."""
    next_anchors: int = 20
    """Newest items whose followers are looked up."""
    next_fading: float = 0.6
    """The n-th newest of them weighs n^-next_fading."""
    next_power: float = 0.6
    """Exponent of a follower's co-visits."""
    next_damping: float = 0.2
    """Exponent of all co-visits of the item that it follows, which divide."""
    next_support: float = 0.5
    """Of the best follower's score, what makes it half believed."""
    text_anchors: int = 4
    """Newest items that others are described like."""
    trending_crowd: float = 10_000.0
    """Weighted events within a half-life from which an item is as trending as can be."""
    ease_interests: int = 64
    ease_support: float = 0.05
    session_support: float = 0.05
    voting: Voting = Voting()
    """How session neighbours are found and heard."""
    place_decay: float = 0.9
    """Each newer interaction takes this from the weight of an older one."""
    search_half_life: float = HOUR / 2
    known_events: int = 5
    """From this many interactions on (or with a trained vector or list), what others do no longer orders a list."""
    new_age: float = 14 * DAY
    """Items younger than this are new; at this age one is half as new as at its first moment."""
    hide_seen: bool = True
    seen_for: dict[str, float | None] = {}
    """By event type, how long after it an item stays away (seconds): ``{"view": 86400, "rating": null}``.

    Forever for null and for a type that is not named; ``*`` stands for what was seen too long ago to know its type.
    """
    boosts: tuple[Boost, ...] = ()
    """The site's rules: ``{"filter": "promoted = true", "factor": 1.3}``."""
    pins: dict[str, int] = {}
    """Items at fixed places of everybody's list, from 1."""
    caps: dict[str, int] = {}
    """By field, how many items of each of its values a list may hold while there are others: ``{"categories": 3}``."""
    explore: float = 0.0
    """Share of a list's places that go to new and uncertain items by Thompson sampling; 0: none."""
    exploration: float = 0.1
    """Relative spread of the noise that a request's ``seed`` adds; without a seed there is none."""
    click_through: float = 0.25
    """How far clicks over impressions move an item's score: by 1 + this at most, or its inverse; 0: not at all."""
    aversion: float = 0.25
    """How much of an item's likeness to a disliked one is taken off its score."""

    @property
    def config_id(self) -> str:
        """A short name of these choices."""
        return blake2b(msgspec.json.encode(self, order="deterministic"), digest_size=5).hexdigest()


def check_boosts(boosts: Sequence[Boost], where: str) -> None:
    """Raises msgspec.ValidationError where a boost's filter cannot be read or its factor is not above 0."""
    for place, boost in enumerate(boosts):
        try:
            compiled(boost.filter)
        except FilterInvalid as error:
            raise msgspec.ValidationError(f"{where}[{place}]: {error}") from error
        if not 0 < boost.factor < float("inf"):
            raise msgspec.ValidationError(f"{where}[{place}]: a factor is greater than 0")
