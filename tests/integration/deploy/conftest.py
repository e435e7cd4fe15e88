"""A small simulated shop in a data folder: imported, folded, trained, as a user's own would be."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

from adapters.sqlite.answers import open_readers, open_writer
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.models import SqliteListReader, SqliteModelStore
from adapters.sqlite.signals import SqliteSignalReader
from deploy.commands.cli import app
from deploy.config import CommandSettings
from deploy.embedded.app import nearline
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.training import train_in
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.run import ImportDependencies
from ingest.importers.simulated import SampleFile, import_sample
from ingest.validation.validate import policy
from schemas.answers import Answer
from schemas.configuration.addresses import AnswerRetention
from schemas.log import topics
from schemas.log.records import LogEntry
from serving.config import Settings as ServingSettings
from serving.http.parameters import RecommendationParameters
from serving.http.parsing import recommendation_fields
from serving.service.service import ServingService, Stores

Run = Callable[..., Result]


class Shop(NamedTuple):
    """A data folder, with its commands and its answers."""

    folder: Path

    def answer(self, user: str | None, count: int = 10, **fields) -> Answer:
        """What the online layer answers, recorded on the log."""

        async def ask(service: ServingService) -> Answer:
            if user is None:
                return await service.item_list("trending", service.request(count=count))
            parameters = RecommendationParameters(count=count, **fields)
            return await service.recommend(
                service.request(user_id=user, **recommendation_fields(parameters, service.placeholders))
            )

        return asyncio.run(self._with_service(ask))

    def answers(self, *users: str) -> list[Answer]:
        """What the online layer answers to these users, one after the other; a name twice is the same request twice."""

        async def ask(service: ServingService) -> list[Answer]:
            return [await service.recommend(service.request(user_id=user)) for user in users]

        return asyncio.run(self._with_service(ask))

    def similar(self, item: str, user: str) -> Answer:
        """What is like an item, recorded on the log."""
        return asyncio.run(
            self._with_service(
                lambda service: service.near_item("similar", service.request(item_id=item, user_id=user))
            )
        )

    def append(self, topic: str, key: bytes, value: bytes) -> None:
        """One record straight onto the log."""
        with closing(SqliteLogWriter(self.folder)) as writer:
            writer.append(topic, [LogEntry(key, value)]).result(10)

    def recorded(self) -> int:
        """How many answers are recorded."""
        with ExitStack() as opened:
            readers = [opened.enter_context(closing(reader)) for reader in open_readers(self.folder)]
            ends = [end for reader in readers for (topic, _), end in reader.ends().items() if topic == topics.ANSWERS]
        return sum(ends)

    def follow(self) -> None:
        """Fold the log until the signals have caught up."""
        with nearline(CommandSettings(data=self.folder)) as running:
            deadline = time.monotonic() + 60
            while running.missing():
                assert time.monotonic() < deadline, running.missing()
                time.sleep(0.02)

    async def _with_service(self, ask):
        writer = open_writer(self.folder, AnswerRetention())
        stores = Stores(
            SqliteSignalReader(self.folder), SqliteListReader(self.folder), SqliteModelStore(self.folder), writer
        )
        service = ServingService(stores, ServingSettings(store_seconds=5.0))
        await service.start()
        try:
            return await ask(service)
        finally:
            await service.stop()
            await stores.signals.close()
            await stores.lists.close()
            stores.models.close()
            writer.close()


@pytest.fixture(scope="session")
def trained_shop(tmp_path_factory) -> Shop:
    """A shop of 150 shoppers with a model; several tests read it, so none may change more than add answers to it."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    fill(shop.folder)
    shop.follow()
    train(shop.folder)
    return shop


@pytest.fixture
def shop_copy(trained_shop, tmp_path) -> Shop:
    """The same shop, for a test that changes it."""
    return Shop(Path(shutil.copytree(trained_shop.folder, tmp_path / "copy")))


@pytest.fixture
def empty_shop(tmp_path) -> Shop:
    """A shop with a catalogue and events, followed, without a model."""
    shop = Shop(tmp_path / "shop")
    fill(shop.folder, n_shoppers=20, days=10)
    shop.follow()
    return shop


@pytest.fixture
def freshet() -> Run:
    """Runs the command with wide output."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})

    return run


@pytest.fixture
def shopper(trained_shop) -> str:
    """Somebody the model knows."""
    with closing(SqliteModelStore(trained_shop.folder)) as store, closing(SqliteLogReader(trained_shop.folder)) as log:
        assert store.active()
        return next(log.read(topics.USERS, p, 0, 1)[0].key.decode() for p in range(8) if log.bounds(topics.USERS, p)[1])


def fill(folder: Path, n_shoppers: int = 150, days: int = 20) -> None:
    with open_dependencies(CommandSettings(data=folder)) as parts:
        writer = parts.writer
        log_id = parts.reader.log_id(topics.EVENTS)
        taking = ImportDependencies(writer, time.time, time.sleep, HashSet(), policy((), ()))
        import_sample(taking, SampleFile(folder / "import.json"), log_id, n_shoppers=n_shoppers, days=days)


def train(folder: Path) -> None:
    """A version whose sources weigh what is configured: what is tested here is that they are used, not how much."""
    with pytest.MonkeyPatch.context() as patch, open_dependencies(CommandSettings(data=folder)) as parts:
        patch.setenv("FRESHET_WEIGH_EVENTS", "0")
        train_in(parts, "single", force=True, progress=lambda *_: None)
