"""Settings of offline jobs. No other module of this tier reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.configuration.settings import comma_separated
from schemas.errors import ConfigurationInvalid
from schemas.http.settings import HttpSettings
from schemas.values.retention import parse_retention

EngineName = Literal["auto", "single", "spark"]


def _checked_retention(text: str) -> str:
    try:
        parse_retention(text)
    except ConfigurationInvalid as error:
        raise ValueError(str(error)) from error
    return text


class OfflineSettings(HttpSettings, BaseSettings):
    """Read from ``FRESHET_*`` variables."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore", use_attribute_docstrings=True)

    engine: EngineName = "auto"
    """Engine of trainings: ``single`` is this process with DuckDB, ``spark`` is Spark, ``auto`` chooses by the number of events."""
    spark_master: str = "local[2]"
    """URL of Spark's master."""
    spark_memory: str = "1g"
    """Memory of Spark's driver. A local Spark runs wholly in the driver."""
    spark_stack: Annotated[str, Field(pattern=r"^[0-9]+[kmg]$")] = "4m"
    """Stack of each thread of Spark's Java processes."""
    spark_checkpoint: str = ""
    """Folder or address (`hdfs://…`, `s3://…`) of Spark's checkpoints. All executors must reach it. A local Spark needs none: it uses a temporary folder."""
    spark_checkpoint_interval: int = Field(default=3, ge=1)
    """Number of iterations of ALS on Spark between two checkpoints. Each checkpoint cuts the lineage, which otherwise overflows the stack."""
    single_limit: int = Field(default=20_000_000, ge=0)
    """Limit of archived events up to which ``auto`` trains in one process."""
    algorithm: str = "ials"
    """Algorithm that precomputes the lists and is evaluated. ``ials`` and ``als`` also produce the factors."""
    models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ("ease-auto",)
    """More algorithms whose models are stored with every version, comma-separated."""
    models_limit: int = Field(default=5_000_000, ge=0)
    """Limit of interactions up to which the algorithms of ``FRESHET_MODELS`` are trained."""
    parameters: dict[str, dict[str, Any]] = {}
    """Parameters of algorithms as JSON, by name of the algorithm, as `freshet evaluate tune` finds them."""
    weigh_events: int = Field(default=20_000, ge=0)
    """Number of newest interactions that are replayed to learn the source weights. 0 keeps the configured weights."""
    factorization: Literal["ials", "als"] = "ials"
    """Algorithm that produces the factors if ``FRESHET_ALGORITHM`` does not: ``ials`` is Freshet's exact solver, ``als`` the library implicit."""
    factors: int = Field(default=64, ge=1, le=1_024)
    """Dimensions of the factors."""
    sql_memory: str = "3GB"
    """Memory limit of DuckDB for the interactions. The rest is spilled to disk."""
    retention_days_by_type: Annotated[str, AfterValidator(_checked_retention)] = ""
    """Days for which raw events of a type are kept, such as search=30,view=400. Types that are not here are kept for ever. Trainings leave older ones out."""
    half_life_days: float | None = None
    """Half-life of an interaction's weight in days. Without it, weights do not decay."""
    weights: str = ""
    """Weights of event types in training that differ from the defaults, such as view=1,rating=3:1/4:3 (as in `freshet import --weights`)."""
    list_length: int = Field(default=100, ge=1, le=1_000)
    """Length of a user's precomputed list."""
    similar_length: int = Field(default=50, ge=1, le=64)
    """Number of similar items that are stored for an item."""
    keep_versions: int = Field(default=5, ge=1)
    """Number of model versions that are kept, for a rollback."""
    stored_users: int = Field(default=200_000, ge=0)
    """Limit of users up to which user factors are stored. With more users, serving folds in each user at a request."""
    export: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    """Folders or fsspec addresses that every published version is exported to as Parquet, comma-separated."""
    gate: Path | None = None
    """TOML or JSON file with the limits that a version must meet to become active; see `offline/publishing/thresholds.py`."""
    held_out_users: int = Field(default=2_000, ge=0)
    """Limit of users whose newest item is held out to evaluate a version. 0 evaluates nothing."""
    threads: int = Field(default=0, ge=0)
    """Threads of a training; 0 means one for each core."""

    models_token: SecretStr = SecretStr("")
    """Token that allows a client to publish external models by `POST /v1/models/...`. Without a token there is no such route."""
    models_host: str = "127.0.0.1"
    """Address on which `python -m offline.main receive` listens."""
    models_port: int = Field(default=8002, ge=1, le=65_535)
    """Port on which `python -m offline.main receive` listens."""

    webhooks: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    """Addresses that receive a notice of each new model and each failed training, comma-separated."""
    webhook_secret: SecretStr = SecretStr("")
    """Secret that signs the webhooks: `whsec_` and base64."""

    schedule_new: int | None = Field(default=None, ge=1)
    """Number of new events after which the schedule trains in full, whatever their share is. Unset, only the share counts."""
    schedule_busy: float = Field(default=0.1, gt=0, le=1)
    """Largest share of the time that full trainings take, and that incremental ones take. After a training of one minute, the next of its kind begins at the earliest ten minutes after its begin."""
    schedule_share: float = Field(default=0.1, gt=0)
    """The schedule trains in full when new events reach this share of the events of the last full training."""
    schedule_age_hours: float = Field(default=24.0, gt=0)
    """The schedule trains in full after this time since the last full training, if there are new events."""
    schedule_incremental_minutes: float = Field(default=5.0, gt=0)
    """Pause between incremental trainings."""
    schedule_archive_minutes: float = Field(default=10.0, gt=0)
    """Pause between copies of the log into the archive."""
    schedule_drift_minutes: float = Field(default=60.0, gt=0)
    """Pause between checks for drift."""
    schedule_statistics_minutes: float = Field(default=60.0, gt=0)
    """Pause between computations of the statistics."""
    schedule_retention_hours: float = Field(default=24.0, gt=0)
    """Pause between removals of events that are older than `FRESHET_RETENTION_DAYS_BY_TYPE` says."""

    @property
    def retention(self) -> Mapping[str, float]:
        """Days by event type."""
        return parse_retention(self.retention_days_by_type)
