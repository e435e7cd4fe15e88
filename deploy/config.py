"""Settings of the command: which stack, and where its servers are. The only reader of the environment here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from ``FRESHET_*`` variables; the addresses are those of ``make stack`` unless said otherwise."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore")

    stack: Literal["embedded", "cluster"] = "embedded"
    kafka: str = "127.0.0.1:19092"
    redis: str = "redis://127.0.0.1:16379/0"
    cassandra: str = "127.0.0.1:19042"
    prefix: str = "freshet"
    """The site's name: before its topics, keys and keyspace."""
    partitions: int = 8
    archive: Path | None = None
    """Where the Parquet archive is; ``archive/`` in the data folder by default."""
    log_level: str = "WARNING"
