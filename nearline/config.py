"""Nearline's settings, from the environment (prefix FRESHET_)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.log.topics import DEFAULT_PARTITIONS
from schemas.site import DEFAULT_SITE


class NearlineConfig(BaseSettings):
    """Where a worker finds its servers, and what it is called."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore")

    kafka: Annotated[str, Field(description="Kafka's bootstrap servers: host:port, comma-separated.")] = (
        "127.0.0.1:19092"
    )
    redis: Annotated[str, Field(description="Redis, the signal store, as a URL.")] = "redis://127.0.0.1:16379/0"
    prefix: Annotated[
        str, Field(min_length=1, description="The site's name: before its topics, keys and keyspace.")
    ] = DEFAULT_SITE
    partitions: Annotated[
        int, Field(ge=1, le=10_000, description="Partitions of every topic; fixed for the life of a log.")
    ] = DEFAULT_PARTITIONS
    archive: Annotated[Path | None, Field(description="Where the Parquet archive is.")] = None
    metrics_port: Annotated[int | None, Field(ge=0, le=65_535, description="Where metrics are served.")] = None
    worker_dir: Annotated[Path, Field(description="Faust's data folder.")] = (
        Path(tempfile.gettempdir()) / "freshet-worker"
    )
