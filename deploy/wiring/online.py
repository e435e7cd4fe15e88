"""The online layer's parts for a command that answers in this process, beside whatever else runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from msgspec import ValidationError

from adapters.sqlite_log import FILE as LOG_FILE
from adapters.sqlite_log import SqliteLogReader
from deploy.config import Settings
from schemas.errors import ConfigurationInvalid
from schemas.log import topics
from schemas.settings import read_settings
from serving.config import Settings as ServingSettings
from serving.main import open_stores, with_lists
from serving.ranking.config import RankingConfig
from serving.service.service import ServingService, Stores

_PATIENCE: Final = 5.0
"""Seconds that one read of a store may take: a command connects first, and nobody's page waits for it."""


def serving_settings(settings: Settings) -> ServingSettings:
    """Settings of the online layer on the stack that the command works on; nothing is recorded."""
    shared = ("kafka", "redis", "cassandra", "prefix", "partitions")
    named = {name: getattr(settings, name) for name in shared}
    return read_settings(ServingSettings).model_copy(update={**named, "decisions": False, "store_seconds": _PATIENCE})


def ranking_config(settings: ServingSettings) -> RankingConfig:
    """How answers are ranked; raises ConfigurationInvalid."""
    try:
        return settings.ranking_config()
    except ValidationError as error:
        raise ConfigurationInvalid(f"FRESHET_RANKING cannot be used: {error}") from error


def settled(folder: Path, settings: Settings) -> Settings:
    """The settings with the number of partitions that an embedded folder was made with.

    Raises ConfigurationInvalid where the folder holds nothing, instead of making it, and LogUnavailable.
    """
    if settings.stack == "cluster":
        return settings
    if not (folder / LOG_FILE).is_file():
        what = "holds no Freshet data" if folder.is_dir() else "does not exist"
        raise ConfigurationInvalid(
            f"the folder {folder} {what}: name another with --data, or fill it with `freshet demo` or `freshet import`"
        )
    with closing(SqliteLogReader(folder)) as reader:
        return settings.model_copy(update={"partitions": reader.partitions(topics.EVENTS)})


@asynccontextmanager
async def stores_for(folder: Path, settings: Settings) -> AsyncIterator[Stores]:
    """The stores to read from, without the log; closed at the end."""
    stores = with_lists(_open(folder, settings), serving_settings(settings))
    try:
        yield stores
    finally:
        await stores.signals.close()
        await stores.close_lists()
        stores.models.close()


@asynccontextmanager
async def service_for(folder: Path, settings: Settings) -> AsyncIterator[ServingService]:
    """The online service, started once and stopped at the end."""
    async with stores_for(folder, settings) as stores:
        online = serving_settings(settings)
        ranking_config(online)
        service = ServingService(stores, online)
        await service.start()
        try:
            yield service
        finally:
            await service.stop()


def _open(folder: Path, settings: Settings) -> Stores:
    if settings.stack == "cluster":
        return open_stores(serving_settings(settings))
    from adapters.sqlite_models import SqliteListReader, SqliteModelStore
    from adapters.sqlite_signals import SqliteSignalReader

    return Stores(SqliteSignalReader(folder), SqliteListReader(folder), SqliteModelStore(folder))
