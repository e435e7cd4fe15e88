"""The stores of the online layer, for its process, for ``freshet up``, and for commands that recommend by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from msgspec import ValidationError

from adapters.parquet.models import ParquetListReader
from adapters.registry import adapter
from adapters.sqlite.log import FILE as LOG_FILE
from deploy.config import CommandSettings, settings_of_tier
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.rating_scale import with_noted_scale
from models.structures.lists import ScoredList
from schemas.configuration.addresses import SQLITE, parse_address
from schemas.errors import ConfigurationInvalid
from schemas.log import topics
from schemas.ports import ListReader, LogReader, LogWriter
from serving.config import Settings as ServingSettings
from serving.ranking.config import RankingConfig
from serving.service.service import ServingService, Stores

_PATIENCE: Final = 5.0
"""Seconds that one read of a store may take in a command. A command connects first, and no page waits for it."""
_STORE: Final = "store"
"""Names the model store in ``FRESHET_LISTS_FROM``."""


def open_stores(settings: ServingSettings) -> Stores:
    """The stores that the settings name; those on servers connect when they are first asked. Raises ConfigurationInvalid."""
    signals, models = settings.signals_address, settings.models_address
    stores = Stores(
        signals=adapter(signals).signal_reader(signals),
        lists=adapter(models).list_reader(models),
        models=adapter(models).model_store(models),
        log=_open_answers(settings) if settings.decisions else None,
        documents=adapter(models).documents(models),
    )
    return _with_lists(stores, settings)


def open_facts(settings: ServingSettings) -> LogReader:
    """Reads the log that the signals are folded from; connects when it is first asked. Raises ConfigurationInvalid."""
    address = settings.log_address
    return adapter(address).log_reader(address)


def serving_settings(settings: CommandSettings) -> ServingSettings:
    """Settings of the online layer for a command that answers by itself: nothing is recorded."""
    unrecorded = {"decisions": False, "store_seconds": _PATIENCE}
    online = settings_of_tier(ServingSettings, settings).model_copy(update=unrecorded)
    with open_dependencies(settings) as dependencies:
        return with_noted_scale(online, dependencies.documents)


def ranking_config(settings: ServingSettings) -> RankingConfig:
    """The configuration of ranking; raises ConfigurationInvalid."""
    try:
        return settings.ranking_config()
    except ValidationError as error:
        raise ConfigurationInvalid(f"FRESHET_RANKING cannot be used: {error}") from error


def with_partitions_of_log(settings: CommandSettings) -> CommandSettings:
    """The settings with the number of partitions that the embedded log was made with.

    Raises ConfigurationInvalid where the folder holds nothing, instead of making it, and LogUnavailable.
    """
    address = settings.log_address
    if settings.stack == "cluster":
        return settings
    folder = Path(address.location)
    if address.scheme == SQLITE and not (folder / LOG_FILE).is_file():
        fault = "holds no Freshet data" if folder.is_dir() else "does not exist"
        raise ConfigurationInvalid(
            f"the folder {folder} {fault}: name another with --data, or fill it with `freshet demo` or `freshet import`"
        )
    with closing(adapter(address).log_reader(address)) as reader:
        return settings.model_copy(update={"partitions": reader.partitions(topics.EVENTS)})


@asynccontextmanager
async def stores_for(settings: CommandSettings) -> AsyncIterator[Stores]:
    """The stores that a command reads, without the log; closed at the end."""
    online = serving_settings(settings)
    stores = open_stores(online)
    try:
        yield stores
    finally:
        await stores.signals.close()
        await stores.close_lists()
        stores.models.close()
        if stores.documents is not None:
            stores.documents.close()


@asynccontextmanager
async def service_for(settings: CommandSettings) -> AsyncIterator[ServingService]:
    """The online service, started once and stopped at the end."""
    async with stores_for(settings) as stores:
        online = serving_settings(settings)
        ranking_config(online)
        service = ServingService(stores, online)
        await service.start()
        try:
            yield service
        finally:
            await service.stop()


def _with_lists(stores: Stores, settings: ServingSettings) -> Stores:
    """The stores with every place that lists are read from; raises ConfigurationInvalid."""
    if settings.lists_from == (_STORE,):
        return stores
    readers = {
        "lists" if source == _STORE else f"lists {number}": stores.lists
        if source == _STORE
        else _list_reader(source, settings)
        for number, source in enumerate(settings.lists_from, 1)
    }
    return stores._replace(lists_from=readers)


def _open_answers(settings: ServingSettings) -> LogWriter:
    address = settings.log_address
    return adapter(address).answer_writer(address)


def _list_reader(where: str, settings: ServingSettings) -> ListReader:
    kind, _, name = where.partition(":")
    if kind != "keyspace":
        return ParquetListReader(where, lambda item_ids, scores: ScoredList(tuple(item_ids), tuple(scores)).save())
    address = parse_address(f"cassandra://{settings.cassandra}/{name}")._replace(access=settings.cassandra_access())
    return adapter(address).list_reader(address)
