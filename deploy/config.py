"""Settings of the command: which stack, and where its servers are. The only reader of the environment here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.log.topics import DEFAULT_PARTITIONS


class Settings(BaseSettings):
    """Read from ``FRESHET_*`` variables; the addresses are those of ``make stack`` unless said otherwise."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore", use_attribute_docstrings=True)

    stack: Literal["embedded", "cluster"] = "embedded"
    """Kafka, Redis and Cassandra (cluster), or SQLite in the data folder (embedded)."""
    kafka: str = "127.0.0.1:19092"
    """Kafka's bootstrap servers: host:port, comma-separated."""
    redis: str = "redis://127.0.0.1:16379/0"
    """Redis, the signal store, as a URL."""
    cassandra: str = "127.0.0.1:19042"
    """Cassandra, the model store: host:port, comma-separated."""
    prefix: str = "freshet"
    """The site's name: before its topics, keys and keyspace."""
    partitions: int = DEFAULT_PARTITIONS
    """Partitions of every topic; fixed for the life of a log."""
    archive: Path | None = None
    """Where the Parquet archive is; ``archive/`` in the data folder by default."""
    log_level: str = "WARNING"
    """DEBUG, INFO, WARNING or ERROR."""

    def at(self, addresses: Mapping[str, str]) -> Self:
        """The same for the cluster at these addresses, as a started stack names them: ``FRESHET_KAFKA`` and the like."""
        servers = {name: addresses.get(f"FRESHET_{name.upper()}") for name in ("kafka", "redis", "cassandra")}
        found = {name: address for name, address in servers.items() if address is not None}
        return self.model_copy(update={"stack": "cluster", **found})
