"""Nearline's settings, from the environment (prefix FRESHET_)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.site import DEFAULT_SITE
from schemas.topics import DEFAULT_PARTITIONS


class NearlineConfig(BaseSettings):
    """Where a worker finds its servers, and what it is called."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore")

    kafka: Annotated[str, Field(description="Kafka's brokers: host:port, comma-separated.")] = "127.0.0.1:19092"
    redis: Annotated[str, Field(description="Redis, as a URL.")] = "redis://127.0.0.1:16379/0"
    prefix: Annotated[str, Field(min_length=1, description="The site: before topics and keys.")] = DEFAULT_SITE
    partitions: Annotated[int, Field(ge=1, le=10_000, description="As the topics have them.")] = DEFAULT_PARTITIONS
    archive: Annotated[Path | None, Field(description="The archive: records older than retention come from it.")] = None
    metrics_port: Annotated[int | None, Field(ge=0, le=65_535, description="Where metrics are served.")] = None
    worker_dir: Annotated[Path, Field(description="Faust's data folder.")] = (
        Path(tempfile.gettempdir()) / "freshet-worker"
    )
