"""How answers are ranked, and the settings of an online process; the only reader of the environment here."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.session_knn import Voting
from schemas.answers import Boost
from schemas.errors import FilterInvalid
from schemas.log.topics import DEFAULT_PARTITIONS
from schemas.settings import comma_separated
from schemas.site import DEFAULT_SITE
from serving.filtering.expressions import compiled
from signals.decay import DAY, HOUR
from signals.weights import DEFAULT_WEIGHTS, POPULATION_WEIGHTS

_SOURCE_WEIGHTS: Final = {
    "list": 1.0,
    "fold_in": 1.0,
    "ease": 1.0,
    "similar": 0.1,
    "people": 0.3,
    "session": 1.0,
    "again": 0.5,
    "next": 1.0,
    "together": 0.3,
    "search": 0.8,
    "text": 0.1,
    "trending_hour": 0.2,
    "trending_day": 0.3,
    "trending_fortnight": 0.3,
    "trending_here": 0.2,
    "popular": 0.3,
    "new_hour": 0.1,
    "new": 0.05,
}


class RankingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about ranking that is a choice; equal values give an equal ``config_id``.

    Each source's scores are brought to 0..1 before ``sources`` weighs them; times are in seconds.
    """

    weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    population_weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(POPULATION_WEIGHTS))
    sources: dict[str, float] = msgspec.field(default_factory=lambda: dict(_SOURCE_WEIGHTS))
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


class Settings(BaseSettings):
    """Settings of an online process: ``FRESHET_<NAME>`` in the environment; ``FRESHET_RANKING`` is JSON."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore")

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the online API.")] = 8000
    prefix: Annotated[str, Field(description="The site's name: before its topics, keys and keyspace.")] = DEFAULT_SITE
    partitions: Annotated[
        int, Field(ge=1, le=4096, description="Partitions of every topic; fixed for the life of a log.")
    ] = DEFAULT_PARTITIONS
    kafka: Annotated[str, Field(description="Kafka's bootstrap servers: host:port, comma-separated.")] = (
        "127.0.0.1:19092"
    )
    redis: Annotated[str, Field(description="Redis, the signal store, as a URL.")] = "redis://127.0.0.1:16379/0"
    cassandra: Annotated[str, Field(description="Cassandra, the model store: host:port, comma-separated.")] = (
        "127.0.0.1:19042"
    )
    store_seconds: Annotated[float, Field(gt=0, description="Deadline of one read of a store.")] = 0.05
    after_seconds: Annotated[float, Field(ge=0, description="Longest wait of a read with after=.")] = 1.0
    poll_seconds: Annotated[float, Field(gt=0, description="Pause between looks while reads wait.")] = 0.002
    follow_seconds: Annotated[float, Field(gt=0, description="Pause between looks for changed items.")] = 0.25
    refresh_seconds: Annotated[float, Field(gt=0, le=1, description="Pause between looks at aggregates.")] = 0.5
    model_seconds: Annotated[float, Field(gt=0, description="Pause between looks for a new model.")] = 1.0
    breaker_failures: Annotated[int, Field(ge=1, description="Failures in a row that rest a source.")] = 5
    breaker_rest: Annotated[float, Field(gt=0, description="Seconds until a resting source is tried.")] = 1.0
    lists_from: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(comma_separated),
        Field(
            min_length=1,
            description="Where precomputed lists are read, in order: `store` (the model store), folders or fsspec"
            " addresses that versions were exported to, `keyspace:NAME` (another one of the same Cassandra).",
        ),
    ] = ("store",)
    cached_lists: Annotated[int, Field(ge=0, description="Precomputed lists kept in memory.")] = 50_000
    cache_seconds: Annotated[
        float,
        Field(ge=0, le=60, description="Longest that a list is given again while its user does nothing; 0: never."),
    ] = 2.0
    cached_results: Annotated[int, Field(ge=0, description="Answers' lists kept in memory to be given again.")] = 10_000
    notification_streams: Annotated[
        int, Field(ge=0, description="Clients that may wait at once to be told that their list has changed.")
    ] = 1_000
    similar_users: Annotated[bool, Field(description="Whether the API tells who is like whom, by user id.")] = True
    decisions: Annotated[bool, Field(description="Whether answers are recorded on the answers topic.")] = True
    decision_queue: Annotated[int, Field(ge=1, description="Answers waiting to be recorded.")] = 10_000
    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(comma_separated),
        Field(description="Origins whose pages may call; * for all."),
    ] = ()
    events_url: Annotated[
        str, Field(description="Where the page posts events: the collector; empty for the page's own origin.")
    ] = ""
    currency: Annotated[str, Field(description="Put before prices on the page.")] = ""
    log_level: Annotated[str, Field(description="DEBUG, INFO, WARNING or ERROR.")] = "INFO"
    bare_items: Annotated[bool, Field(description="Whether items known from events alone are recommended.")] = True
    ranking: Annotated[dict[str, Any], Field(description="Fields of RankingConfig that differ.")] = {}

    def ranking_config(self) -> RankingConfig:
        """The ranking configuration; raises msgspec.ValidationError where a field is not one, or of another type.

        ``weights``, ``population_weights`` and ``sources`` add to the defaults; a site's own event type is one more.
        """
        defaults: dict[str, Any] = msgspec.to_builtins(RankingConfig())
        for name, value in self.ranking.items():
            if name not in defaults:
                raise msgspec.ValidationError(f"FRESHET_RANKING: there is no '{name}'")
            merged = isinstance(value, dict) and isinstance(defaults[name], dict)
            defaults[name] = {**defaults[name], **value} if merged else value
        found = msgspec.convert(defaults, RankingConfig)
        check_boosts(found.boosts, "FRESHET_RANKING: boosts")
        return found
