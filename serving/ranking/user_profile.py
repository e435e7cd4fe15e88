"""The profile of a user: interests and rejected items, read from the ``users`` signal at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp2
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from models.structures.arrays import Ints
from schemas.answers import RecommendationRequest
from schemas.values.rating_scale import RatingScale
from serving.ranking.config import RankingConfig
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle
from signals.event_weights import EXPLICIT_FEEDBACK_TYPES, VALUE_WEIGHTED_TYPES, interaction_weight
from signals.users import SESSION_GAP_SECONDS, Entry, UserValue, longest_pause


class InterestProfile(NamedTuple):
    """The interests of a user, by position in the catalogue."""

    weights: dict[int, float]
    """Decayed weights above zero, strongest first."""
    disliked: tuple[int, ...]
    """Items whose newest verdict is negative."""
    recent: dict[int, float]
    """Items of the events within ``covisit_window``, newest first, with weights that fall by rank: for co-visitation."""
    trail: Ints
    """Positions of the newest interactions with a weight above zero, oldest first: for session kNN."""
    session: bytes | None
    """The hash of the session that the newest interaction belongs to."""
    fresh: float
    """Total weight of the events since the model was trained."""
    events: int
    """Number of interactions remembered."""
    queries: tuple[tuple[str, float], ...]
    """Searches with their decayed weights, newest first."""


def build_profile(
    request: RecommendationRequest, user: UserValue, models: ModelBundle, catalogue: Catalogue, config: RankingConfig
) -> InterestProfile:
    """The profile of a user; decay is measured from the user's newest event."""
    entries = user.recent[-config.profile_events :]
    rejected = _rejected_items(entries, config.rating_scale)
    weights: dict[int, float] = {}
    recent: dict[int, float] = {}
    newest_trail: list[int] = []
    newest = max((entry.at for entry in entries), default=request.now)
    fresh, recent_from, trained_to, rank_weight = 0.0, newest - config.covisit_window, models.trained_to, 1.0
    position = catalogue.position
    for entry, weight in _weighted_entries(entries, newest, session_start(request, user), config):
        index = position(entry.item)
        if index is None or entry.item in rejected:
            continue
        weights[index] = weights.get(index, 0.0) + weight * rank_weight
        if entry.at >= recent_from:
            recent.setdefault(index, (1.0 + len(recent)) ** -config.covisit_fading)
            newest_trail.append(index)
            rank_weight *= config.rank_decay
        if entry.at > trained_to:
            fresh += weight
    strongest_first = dict(sorted(weights.items(), key=itemgetter(1), reverse=True))
    disliked = tuple(index for item in rejected if (index := catalogue.position(item)) is not None)
    newest_first = np.array(newest_trail[: config.voting.last], np.int32)
    session = user.session.hash if user.session else None
    return InterestProfile(
        weights=strongest_first,
        disliked=disliked,
        recent=recent,
        trail=newest_first[::-1],
        session=session,
        fresh=fresh,
        events=len(user.recent),
        queries=_queries(request, user, config),
    )


def _weighted_entries(
    entries: Sequence[Entry], newest: float, session_from: float, config: RankingConfig
) -> Iterator[tuple[Entry, float]]:
    """The entries with a weight above zero and their decayed weights, newest first; the age counts from ``newest``."""
    boost, half_life, by_type = config.session_boost, config.half_life, config.weights
    scale = config.rating_scale
    for entry in reversed(entries):
        # Most types have a configured weight; calling interaction_weight() costs as much as the rest of the loop.
        weight = (
            interaction_weight(entry, by_type, scale)
            if entry.type in VALUE_WEIGHTED_TYPES
            else by_type.get(entry.type, 0.0)
        )
        if weight > 0:
            entry_at = entry.at
            decay = exp2(max((entry_at - newest) / half_life, -60.0))
            yield entry, weight * decay * boost if entry_at >= session_from else weight * decay


def session_start(request: RecommendationRequest, user: UserValue) -> float:
    """The start of the current session (seconds); infinity without one, or where the client names another session."""
    session = user.session
    if session is None:
        return float("inf")
    named = request.session_id is not None and session.id is not None
    if named and session.id != request.session_id:
        return float("inf")
    # Without a session id the user may have begun another session.
    if request.now - session.last > (longest_pause(session) if named else SESSION_GAP_SECONDS):
        return float("inf")
    return session.started


def _rejected_items(entries: tuple[Entry, ...], scale: RatingScale) -> dict[str, None]:
    """Items whose newest verdict is negative: a dislike, a dismissal, a low rating, a retracted like."""
    judged: set[str] = set()
    rejected: dict[str, None] = {}
    for entry in reversed(entries):
        if entry.type in EXPLICIT_FEEDBACK_TYPES and entry.item not in judged:
            judged.add(entry.item)
            if interaction_weight(entry, scale=scale) < 0 or entry.type == "unlike":
                rejected[entry.item] = None
    return rejected


def _queries(request: RecommendationRequest, user: UserValue, config: RankingConfig) -> tuple[tuple[str, float], ...]:
    ages = ((term.query, max(0.0, request.now - term.at) / config.search_half_life) for term in reversed(user.terms))
    return tuple((query, exp2(-age)) for query, age in ages if age < 5)[:3]
