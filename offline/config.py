"""Settings of offline jobs. The only reader of the environment here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.settings import SharedSettings, comma_separated

EngineName = Literal["auto", "single", "spark"]


class OfflineSettings(SharedSettings, BaseSettings):
    """Read from ``FRESHET_*`` variables."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore", use_attribute_docstrings=True)

    engine: EngineName = "auto"
    """What trains: ``single`` is DuckDB and implicit, ``spark`` is Spark; ``auto`` decides by size."""
    spark_master: str = "local[2]"
    """Spark's master."""
    spark_memory: str = "1g"
    """Memory of Spark's driver; a local Spark runs in it as a whole."""
    single_limit: int = Field(default=20_000_000, ge=0)
    """Archived events up to which ``auto`` trains on this one machine."""
    algorithm: str = "ials"
    """Whose lists are precomputed and which is measured: ials or als, which then make the factors, or any other."""
    models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ("ease-auto",)
    """Further algorithms whose values are stored with every version, comma-separated."""
    models_limit: int = Field(default=5_000_000, ge=0)
    """Interactions up to which further algorithms are trained with every version; beyond, lists and factors alone."""
    parameters: dict[str, dict[str, Any]] = {}
    """Parameters of algorithms, as JSON by their names: what `freshet evaluate tune` finds."""
    weigh_events: int = Field(default=20_000, ge=0)
    """Newest interactions that are replayed to learn what serving's sources weigh; 0 leaves the configured weights."""
    factorization: Literal["ials", "als"] = "ials"
    """What makes the factors beside another algorithm's lists: Freshet's own exact solver, or implicit."""
    factors: int = Field(default=64, ge=1, le=1_024)
    """Dimensions of the factors."""
    sql_memory: str = "3GB"
    """What DuckDB may use for the interactions; what does not fit is spilled to disk."""
    half_life_days: float | None = None
    """After which an interaction counts half; never less by default."""
    weights: str = ""
    """What events count in training beside the defaults: view=1,rating=3:1/4:3; as `freshet import --weights` notes it."""
    list_length: int = Field(default=100, ge=1, le=1_000)
    """Items of a user's precomputed list."""
    similar_length: int = Field(default=50, ge=1, le=64)
    """Similar items stored for one item."""
    keep_versions: int = Field(default=5, ge=1)
    """Model versions kept for a rollback."""
    stored_users: int = Field(default=200_000, ge=0)
    """Users whose factors are stored with the model; with more than that, all are folded in when they ask."""
    export: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    """Folders or fsspec addresses that every published version is exported to as Parquet, comma-separated."""
    gate: Path | None = None
    """A TOML or JSON file of what a version must show before it answers; see `offline/publishing/thresholds.py`."""
    held_out_users: int = Field(default=2_000, ge=0)
    """People whose newest item is held out to measure a version; 0 measures nothing."""
    threads: int = Field(default=0, ge=0)
    """Threads of training; 0 is one a core."""

    models_token: SecretStr = SecretStr("")
    """Whoever sends it may publish external models by `POST /v1/models/...`; without one there is no such route."""
    models_host: str = "127.0.0.1"
    """Address that `python -m offline.main receive` listens on."""
    models_port: int = Field(default=8002, ge=1, le=65_535)
    """Its port."""

    webhooks: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    """Addresses that receive a notice of each new model and of each failed training."""
    webhook_secret: SecretStr = SecretStr("")
    """What webhooks are signed with: `whsec_` and base64."""

    schedule_new: int = Field(default=10_000, ge=1)
    """New events after which the schedule trains in full."""
    schedule_share: float = Field(default=0.1, gt=0)
    """Or new events as a share of those that the last full training saw."""
    schedule_age_hours: float = Field(default=24.0, gt=0)
    """Or the age of the last full training, where anything is new."""
    schedule_incremental_minutes: float = Field(default=5.0, gt=0)
    """Pause between incremental trainings."""
    schedule_archive_minutes: float = Field(default=10.0, gt=0)
    """Pause between copies of the log into the archive."""
    schedule_drift_minutes: float = Field(default=60.0, gt=0)
    """Pause between looks whether inputs or lists have drifted."""
    schedule_statistics_minutes: float = Field(default=60.0, gt=0)
    """Pause between statistics."""
