"""A person as ranking sees it: interests and aversions read from the ``users`` signal at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp2
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from models.structures.arrays import Ints
from schemas.answers import RecommendationRequest
from serving.ranking.config import RankingConfig
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle
from signals.users import SESSION_GAP_SECONDS, Entry, UserValue, longest_pause
from signals.weights import VALUED, VERDICTS, worth


class Profile(NamedTuple):
    """Interests by position in the catalogue."""

    weights: dict[int, float]
    """Decayed weights above zero, strongest first."""
    disliked: tuple[int, ...]
    """What the newest verdict is against."""
    recent: dict[int, float]
    """What was done within ``next_window``, newest first, each weighing less by its place: for co-visitation."""
    trail: Ints
    """Positions of the newest interactions of interest, oldest first: for session neighbours."""
    session: bytes | None
    """The hash of the session that the newest interaction belongs to."""
    fresh: float
    """Weight of all that was done after the model was trained."""
    events: int
    queries: tuple[tuple[str, float], ...]
    """Searches with their decayed weights, newest first."""


def build_profile(
    request: RecommendationRequest, user: UserValue, models: ModelBundle, catalogue: Catalogue, config: RankingConfig
) -> Profile:
    """The profile of a value; decay counts from the person's own newest event."""
    entries = user.recent[-config.profile_events :]
    against = _rejected_items(entries)
    weights: dict[int, float] = {}
    recent: dict[int, float] = {}
    trail: list[int] = []
    newest = max((entry.at for entry in entries), default=request.now)
    fresh, recent_from, trained_to, fading = 0.0, newest - config.next_window, models.trained_to, 1.0
    position = catalogue.position
    for entry, weight in _weighted_entries(entries, newest, session_start(request, user), config):
        at = position(entry.item)
        if at is None or entry.item in against:
            continue
        weights[at] = weights.get(at, 0.0) + weight * fading
        if entry.at >= recent_from:
            recent.setdefault(at, (1.0 + len(recent)) ** -config.next_fading)
            trail.append(at)
            fading *= config.place_decay
        if entry.at > trained_to:
            fresh += weight
    top_k = dict(sorted(weights.items(), key=itemgetter(1), reverse=True))
    disliked = tuple(at for item in against if (at := catalogue.position(item)) is not None)
    newest_first = np.array(trail[: config.voting.last], np.int32)
    session = user.session.hash if user.session else None
    return Profile(
        weights=top_k,
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
    """Entries of interest with their weights, decayed since the newest one's time, newest first."""
    boost, half_life, by_type = config.session_boost, config.half_life, config.weights
    for entry in reversed(entries):
        # Most types are worth what is configured, and asking costs as much as all the rest here.
        weight = worth(entry, by_type) if entry.type in VALUED else by_type.get(entry.type, 0.0)
        if weight > 0:
            at = entry.at
            decay = exp2(max((at - newest) / half_life, -60.0))
            yield entry, weight * decay * boost if at >= session_from else weight * decay


def session_start(request: RecommendationRequest, user: UserValue) -> float:
    """When the session that is going on began; never, where there is none or the client names another one."""
    session = user.session
    if session is None:
        return float("inf")
    named = request.session_id is not None and session.id is not None
    if named and session.id != request.session_id:
        return float("inf")
    # Who does not say which session this is may have begun another one.
    if request.now - session.last > (longest_pause(session) if named else SESSION_GAP_SECONDS):
        return float("inf")
    return session.started


def _rejected_items(entries: tuple[Entry, ...]) -> dict[str, None]:
    """Items whose newest verdict is a no: a dislike, a dismissal, a low rating, a like taken back."""
    judged: set[str] = set()
    against: dict[str, None] = {}
    for entry in reversed(entries):
        if entry.type in VERDICTS and entry.item not in judged:
            judged.add(entry.item)
            if worth(entry) < 0 or entry.type == "unlike":
                against[entry.item] = None
    return against


def _queries(request: RecommendationRequest, user: UserValue, config: RankingConfig) -> tuple[tuple[str, float], ...]:
    ages = ((term.query, max(0.0, request.now - term.at) / config.search_half_life) for term in reversed(user.terms))
    return tuple((query, exp2(-age)) for query, age in ages if age < 5)[:3]
