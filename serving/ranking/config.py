"""The ranking configuration: every choice that changes an answer, and its short name, ``config_id``."""

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
    """Every choice about ranking; equal values give an equal ``config_id``. Times are in seconds.

    The scores of each source are between 0 and 1 before they are multiplied by its weight in ``sources``.
    """

    weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    population_weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(POPULATION_WEIGHTS))
    sources: dict[str, float]
    """Weights of the candidate sources by name; ``defaults.default_config`` gives those that they declare."""
    candidate_limit: int = msgspec.field(default=200, name="reach")
    """Candidates requested from each source; more where a page needs more."""
    profile_events: int = 64
    """Newest interactions read."""
    seeds: int = msgspec.field(default=8, name="anchors")
    """Items of the profile whose similar items are looked up."""
    neighbours: int = 60
    """Similar items looked up for one item."""
    half_life: float = 7 * DAY
    """Age at which an event counts half, measured from the user's newest event: an inactive user keeps the same list."""
    session_boost: float = 2.0
    """Factor on the weight of events of the current session."""
    mix: float = 10.0
    """Weight of events since training at which the folded-in vector counts as much as the trained one."""
    next_window: float = 30 * DAY
    """Co-visitation and session kNN use events that are at most this much older than the user's newest event."""
    next_seeds: int = msgspec.field(default=20, name="next_anchors")
    """Newest items whose co-visited items are looked up."""
    next_fading: float = 0.6
    """The n-th newest of them has the weight n^-next_fading."""
    next_power: float = 0.6
    """Exponent of the co-visits of a seed and an item."""
    next_damping: float = 0.2
    """Exponent of all co-visits of the seed, by which they are divided."""
    next_support: float = 0.5
    """Score at which the best co-visited item reaches one half: fewer co-visits give less."""
    text_seeds: int = msgspec.field(default=4, name="text_anchors")
    """Newest items whose descriptions are compared with those of other items."""
    trending_crowd: float = 10_000.0
    """Weighted events within a half-life at which a trending score reaches 1."""
    ease_interests: int = 64
    ease_support: float = 0.05
    session_support: float = 0.05
    voting: Voting = Voting()
    """How session kNN chooses neighbours and counts their votes."""
    place_decay: float = 0.9
    """Factor on the weight of an interaction for each newer interaction."""
    search_half_life: float = HOUR / 2
    known_events: int = 5
    """Interactions from which sources of scope ``everybody`` count nothing; a trained vector or list has the same effect."""
    new_age: float = 14 * DAY
    """Age up to which an item is new; at this age its score is half of its first score."""
    hide_seen: bool = True
    seen_for: dict[str, float | None] = {}
    """By event type, for how many seconds a seen item is hidden: ``{"view": 86400, "rating": null}``.

    Null, or a type that is not named, hides for ever. ``*`` is for items whose event is too old for its type to be known.
    """
    boosts: tuple[Boost, ...] = ()
    """The site's rules: ``{"filter": "promoted = true", "factor": 1.3}``."""
    pins: dict[str, int] = {}
    """Items at fixed positions of every list, counted from 1."""
    caps: dict[str, int] = {}
    """By field, how many items with the same value a list may hold while other items are left: ``{"categories": 3}``."""
    explore: float = 0.0
    """Share of a list that is given to new and uncertain items by Thompson sampling; 0: none."""
    exploration: float = 0.1
    """Relative spread of the noise that a request's ``seed`` adds; without a seed there is none."""
    click_through: float = 0.25
    """Clicks over impressions multiply a score by 1 + this at most, and by its inverse at least; 0: no effect."""
    aversion: float = 0.25
    """Share of an item's similarity to a disliked item that is subtracted from its score."""

    @property
    def config_id(self) -> str:
        """A short hash of these choices."""
        return blake2b(msgspec.json.encode(self, order="deterministic"), digest_size=5).hexdigest()


def check_boosts(boosts: Sequence[Boost], where: str) -> None:
    """Check boosts; raises msgspec.ValidationError for an invalid filter or a factor that is not above 0."""
    for index, boost in enumerate(boosts):
        try:
            compiled(boost.filter)
        except FilterInvalid as error:
            raise msgspec.ValidationError(f"{where}[{index}]: {error}") from error
        if not 0 < boost.factor < float("inf"):
            raise msgspec.ValidationError(f"{where}[{index}]: a factor is greater than 0")
