"""A person as ranking sees it: interests and aversions read from the ``users`` signal at one moment."""

from __future__ import annotations

from math import exp2
from typing import NamedTuple

from schemas.answers import Asked
from serving.bundle import Models
from serving.catalogue import Catalogue
from serving.config import RankingConfig
from signals.users import SESSION_GAP_SECONDS, Entry, UserValue
from signals.weights import VERDICTS, worth


class Profile(NamedTuple):
    """Interests by position in the catalogue."""

    weights: dict[int, float]
    """Decayed weights above zero, strongest first."""
    disliked: tuple[int, ...]
    """What the newest verdict is against."""
    recent: dict[int, float]
    """Weights of what was done within ``next_window``, for co-visitation."""
    fresh: float
    """Weight of all that was done after the model was trained."""
    events: int
    queries: tuple[tuple[str, float], ...]
    """Searches with their decayed weights, newest first."""


class _Reading(NamedTuple):
    newest: float
    session_from: float
    config: RankingConfig


def read(asked: Asked, user: UserValue, models: Models, catalogue: Catalogue, config: RankingConfig) -> Profile:
    """The profile of a value; decay counts from the person's own newest event."""
    entries = user.recent[-config.profile_events :]
    reading = _Reading(max((entry.at for entry in entries), default=0.0), session_start(asked, user), config)
    against = _against(entries)
    weights: dict[int, float] = {}
    recent: dict[int, float] = {}
    fresh = 0.0
    for entry in reversed(entries):
        at = catalogue.position(entry.item)
        if at is None or entry.item in against:
            continue
        weight = _weight(entry, reading)
        if weight <= 0:
            continue
        weights[at] = weights.get(at, 0.0) + weight
        if asked.now - entry.at <= config.next_window:
            recent[at] = recent.get(at, 0.0) + weight
        if entry.at > models.trained_to:
            fresh += weight
    strongest = dict(sorted(weights.items(), key=lambda pair: -pair[1]))
    disliked = tuple(at for item in against if (at := catalogue.position(item)) is not None)
    return Profile(strongest, disliked, recent, fresh, len(user.recent), _queries(asked, user, config))


def session_start(asked: Asked, user: UserValue) -> float:
    """When the session that is going on began; never, where there is none or the client names another one."""
    session = user.session
    if session is None or asked.now - session.last > SESSION_GAP_SECONDS:
        return float("inf")
    if asked.session_id is not None and session.id is not None and session.id != asked.session_id:
        return float("inf")
    return session.started


def _weight(entry: Entry, reading: _Reading) -> float:
    boost = reading.config.session_boost if entry.at >= reading.session_from else 1.0
    age = (reading.newest - entry.at) / reading.config.half_life
    return worth(entry, reading.config.weights) * boost * exp2(-min(age, 60.0))


def _against(entries: tuple[Entry, ...]) -> dict[str, None]:
    """Items whose newest verdict is a no: a dislike, a dismissal, a low rating, a like taken back."""
    judged: set[str] = set()
    against: dict[str, None] = {}
    for entry in reversed(entries):
        if entry.type in VERDICTS and entry.item not in judged:
            judged.add(entry.item)
            if worth(entry) < 0 or entry.type == "unlike":
                against[entry.item] = None
    return against


def _queries(asked: Asked, user: UserValue, config: RankingConfig) -> tuple[tuple[str, float], ...]:
    ages = ((term.query, max(0.0, asked.now - term.at) / config.search_half_life) for term in reversed(user.terms))
    return tuple((query, exp2(-age)) for query, age in ages if age < 5)[:3]
