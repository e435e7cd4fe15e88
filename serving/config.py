"""The settings of an online process; the only reader of the environment here."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.source_weights import FORMER_SOURCES
from schemas.configuration.settings import comma_separated
from schemas.http.settings import HttpSettings
from schemas.values.rating_scale import scale_of
from serving.ranking.config import FORMER_FIELDS, RankingConfig, check_boosts
from serving.ranking.defaults import default_config
from signals.kinds.people import PEOPLE


class Settings(HttpSettings, BaseSettings):
    """Settings of an online process: ``FRESHET_<NAME>`` in the environment; ``FRESHET_RANKING`` is JSON."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore")

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the online API.")] = 8000
    page: Annotated[bool, Field(description="Whether the demo page is served at `/`.")] = False
    page_users: Annotated[bool, Field(description="Whether the demo page lists active users by id.")] = False
    console: Annotated[
        bool,
        Field(description="Whether the console is served at `/console`. Where keys count, people sign in to see it."),
    ] = True
    oidc_issuer: Annotated[
        str, Field(description="The OpenID Connect provider that people may sign in with: its issuer, exactly.")
    ] = ""
    oidc_client_id: Annotated[str, Field(description="The id by which the provider knows this site.")] = ""
    oidc_client_secret: Annotated[SecretStr, Field(description="The secret that the provider gave this site.")] = (
        SecretStr("")
    )
    store_seconds: Annotated[float, Field(gt=0, description="Deadline of one read of a store.")] = 0.05
    after_seconds: Annotated[float, Field(ge=0, description="Longest wait of a read with after=.")] = 1.0
    poll_seconds: Annotated[
        float, Field(gt=0, description="Pause between reads of the fences while requests wait for an event.")
    ] = 0.002
    follow_seconds: Annotated[float, Field(gt=0, description="Pause between reads of changed items.")] = 0.25
    refresh_seconds: Annotated[float, Field(gt=0, le=1, description="Pause between reads of changed aggregates.")] = 0.5
    model_seconds: Annotated[float, Field(gt=0, description="Pause between checks for a new model.")] = 1.0
    breaker_failures: Annotated[
        int, Field(ge=1, description="Failures in a row that open the breaker of a source.")
    ] = 5
    breaker_rest: Annotated[float, Field(gt=0, description="Seconds until an open breaker lets a call through.")] = 1.0
    lists_from: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(comma_separated),
        Field(
            min_length=1,
            description="Repositories of precomputed lists, in order: `store` (the model store), a folder or fsspec"
            " address that versions were exported to, `keyspace:NAME` (another keyspace of the same Cassandra).",
        ),
    ] = ("store",)
    cached_lists: Annotated[int, Field(ge=0, description="Largest number of precomputed lists in memory.")] = 50_000
    cached_lists_mib: Annotated[int, Field(ge=0, description="Largest size of all precomputed lists in memory.")] = 64
    cache_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=60,
            description="Longest time (seconds) for which a list is cached while its user sends no events; 0: no cache.",
        ),
    ] = 2.0
    cached_results: Annotated[int, Field(ge=0, description="Largest number of lists in the result cache.")] = 10_000
    cached_results_mib: Annotated[int, Field(ge=0, description="Largest size of all lists in the result cache.")] = 128
    notification_streams: Annotated[int, Field(ge=0, description="Largest number of open notification streams.")] = (
        1_000
    )
    notification_streams_per_client: Annotated[
        int, Field(ge=0, description="Largest number of open notification streams of one client (address).")
    ] = 100
    similar_users: Annotated[bool, Field(description="Whether the API returns similar users by id.")] = False
    decisions: Annotated[bool, Field(description="Whether answers are recorded on the answers topic.")] = True
    decision_sample: Annotated[float, Field(ge=0, le=1, description="Share of the answers that are recorded.")] = 1.0
    decision_queue: Annotated[int, Field(ge=1, description="Largest number of answers that wait to be recorded.")] = (
        2_000
    )
    decision_queue_mib: Annotated[
        int, Field(ge=1, description="Memory (MiB) for answers that wait to be recorded.")
    ] = 64
    filter_columns_mib: Annotated[
        int,
        Field(
            ge=1,
            description="Memory (MiB) for the fields that filters read; the least recently used are let go, a field that takes more"
            " than all of it is refused.",
        ),
    ] = 256
    filter_seconds: Annotated[
        float, Field(gt=0, description="Longest wait of a request for fields that no filter has read before.")
    ] = 10.0
    read_limit: Annotated[
        float, Field(ge=0, description="Requests a second that one client (address) may read with; 0: no limit.")
    ] = 0.0
    read_burst: Annotated[float, Field(ge=1, description="Requests that one client may send at once before that.")] = (
        100.0
    )
    key_read_limit: Annotated[
        float, Field(ge=0, description="Requests a second that one key may read with; 0: no limit.")
    ] = 0.0
    key_read_burst: Annotated[float, Field(ge=1, description="Requests that one key may send at once before that.")] = (
        1_000.0
    )
    events_url: Annotated[
        str,
        Field(description="Address of the collector, to which the page sends events; empty for the page's own origin."),
    ] = ""
    currency: Annotated[str, Field(description="Currency sign before prices on the page.")] = ""
    bare_items: Annotated[bool, Field(description="Whether items known only from events are recommended.")] = True
    admit_after: Annotated[
        int,
        Field(
            ge=1,
            le=PEOPLE,
            description="Number of different people after whom an item known only from events can be recommended; 1: at once."
            " Imported events count at once.",
        ),
    ] = 2
    waiting_items_mib: Annotated[
        int, Field(ge=1, description="Memory (MiB) for items that wait for such people; the oldest are let go.")
    ] = 16
    bare_items_mib: Annotated[
        int,
        Field(
            ge=1,
            description="Memory (MiB) for items known only from events that no model knows; beyond it the least active are let go.",
        ),
    ] = 512
    ranking: Annotated[dict[str, Any], Field(description="Fields of RankingConfig that differ from the defaults.")] = {}

    def ranking_config(self) -> RankingConfig:
        """The ranking configuration: these fields, and the defaults of all others.

        ``weights``, ``population_weights`` and ``sources`` add to the defaults; a site's own event type is one more.
        Raises msgspec.ValidationError for an unknown field or source, or a value of another type.
        """
        fields: dict[str, Any] = msgspec.to_builtins(default_config()) | {"rating_scale": scale_of(self.rating_scale)}
        for name, value in self.ranking.items():
            if name in FORMER_FIELDS:
                raise msgspec.ValidationError(f"FRESHET_RANKING: '{name}' is called '{FORMER_FIELDS[name]}' now")
            if name not in fields:
                raise msgspec.ValidationError(f"FRESHET_RANKING: there is no '{name}'{_nearest(name, fields)}")
            merged = isinstance(value, dict) and isinstance(fields[name], dict)
            fields[name] = {**fields[name], **value} if merged else value
        config = msgspec.convert(fields, RankingConfig)
        check_boosts(config.boosts, "FRESHET_RANKING: boosts")
        _check_sources(config)
        return config


def _check_sources(config: RankingConfig) -> None:
    known = default_config().sources
    for name in config.sources:
        if name in FORMER_SOURCES:
            raise msgspec.ValidationError(
                f"FRESHET_RANKING: the source '{name}' is called '{FORMER_SOURCES[name]}' now"
            )
        if name not in known:
            raise msgspec.ValidationError(f"FRESHET_RANKING: there is no source '{name}'{_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    """A question that names the most similar known name; empty where none is similar."""
    similar = get_close_matches(name, list(known), 1)
    return f"; did you mean '{similar[0]}'?" if similar else ""
