"""The ranking configuration: every choice that changes an answer, and its short name, ``config_id``."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from models.session_knn import Voting
from schemas.answers import Boost
from schemas.errors import FilterInvalid
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale
from serving.filtering.expressions import compiled
from signals.decay import DAY, HOUR
from signals.event_weights import INTEREST_WEIGHTS, POPULATION_WEIGHTS

FORMER_FIELDS: Final = {
    "reach": "candidate_limit",
    "anchors": "seeds",
    "text_anchors": "text_seeds",
    "mix": "fold_in_strength",
    "next_window": "covisit_window",
    "next_anchors": "covisit_seeds",
    "next_fading": "covisit_fading",
    "next_power": "covisit_power",
    "next_damping": "covisit_damping",
    "next_support": "covisit_support",
    "trending_crowd": "trending_saturation",
    "place_decay": "rank_decay",
    "exploration": "noise_spread",
    "aversion": "dislike_share",
}
"""Names of fields in 0.1, with those of today."""


class RankingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Every choice about ranking; equal values give an equal ``config_id``. Times are in seconds.

    The scores of each source are between 0 and 1 before they are multiplied by its weight in ``sources``.
    """

    weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(INTEREST_WEIGHTS))
    population_weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(POPULATION_WEIGHTS))
    sources: dict[str, float]
    """Weights of the candidate sources by name; ``defaults.default_config`` gives those that they declare."""
    rating_scale: RatingScale = DEFAULT_SCALE
    """The lowest and the highest rating. A rating above the middle shows interest, one below it is negative feedback."""
    candidate_limit: int = 200
    """Candidates requested from each source; more where a page needs more."""
    profile_events: int = 64
    """Number of newest interactions that make the profile."""
    seeds: int = 8
    """Items of the profile whose similar items are looked up."""
    neighbours: int = 60
    """Similar items looked up for one item."""
    half_life: float = 7 * DAY
    """Age at which an event counts half, measured from the user's newest event: an inactive user keeps the same list."""
    session_boost: float = 2.0
    """Factor on the weight of events of the current session."""
    fold_in_strength: float = 10.0
    """Total weight of events since training at which the folded-in factors count as much as the trained ones."""
    covisit_window: float = 30 * DAY
    """Co-visitation and session kNN use events that are at most this much older than the user's newest event."""
    covisit_seeds: int = 20
    """Newest items whose co-visited items are looked up."""
    covisit_fading: float = 0.6
    """The n-th newest seed has the weight n^-covisit_fading."""
    covisit_power: float = 0.6
    """Exponent of the co-visits of a seed and an item."""
    covisit_damping: float = 0.2
    """Exponent of the total of the seed's co-visits, by which each count is divided."""
    covisit_support: float = 0.5
    """Sum of co-visits at which the best candidate has the score one half; fewer co-visits give less."""
    text_seeds: int = 4
    """Newest items whose descriptions are compared with those of other items."""
    trending_saturation: float = 10_000.0
    """Weighted events within a half-life at which a trending score reaches 1."""
    ease_interests: int = 64
    """Strongest interests that EASE scores items from."""
    ease_support: float = 0.05
    """Added to the best score of EASE before all its scores are divided by it; see ``context.shrink``."""
    session_support: float = 0.05
    """The same for session kNN."""
    voting: Voting = Voting()
    """How session kNN chooses neighbours and counts their votes."""
    rank_decay: float = 0.9
    """Factor on the weight of an interaction for each newer interaction."""
    search_half_life: float = HOUR / 2
    known_events: int = 5
    """Number of interactions from which sources of scope ``everybody`` (popular, trending) weigh 0.

    With fewer interactions their weight falls linearly (``blend.configured_weights``). For a user whom the model knows they weigh
    0 at once. Learned weights, where a training has published some, take the place of all this.
    """
    new_age: float = 14 * DAY
    """Age up to which an item is new; at this age its score is half of its first score."""
    hide_seen: bool = True
    seen_for: dict[str, float | None] = {}
    """By event type, for how many seconds a seen item stays hidden: ``{"view": 86400, "rating": null}``.

    Null, or a type without an entry, hides for ever. ``*`` counts where the event is so old that its type is forgotten.
    """
    boosts: tuple[Boost, ...] = ()
    """The site's rules: ``{"filter": "promoted = true", "factor": 1.3}``."""
    pins: dict[str, int] = {}
    """Items at fixed positions of every list, counted from 1."""
    caps: dict[str, int] = {}
    """By field, how many items with the same value a list may hold while other items are left: ``{"categories": 3}``."""
    explore: float = 0.0
    """Share of a list that is given to new and uncertain items by Thompson sampling; 0: none."""
    noise_spread: float = 0.1
    """Relative spread of the noise that a request with a random seed adds to scores."""
    click_through: float = 0.25
    """Clicks over impressions multiply a score by 1 + this at most, and by its inverse at least; 0: no effect."""
    dislike_share: float = 0.25
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
