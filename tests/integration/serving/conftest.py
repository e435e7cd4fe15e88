"""A small shop on the embedded set: the real SQLite log and stores, the real folds, a trained model."""

import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from adapters.sqlite.jobs import SqliteDocuments
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.models import SqliteListReader, SqliteModelStore
from adapters.sqlite.signals import SqliteSignalReader, SqliteSignalStore
from models.als import Als
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.structures.lists import USERS, ScoredList
from nearline.processor import Processor, processor_for
from schemas.catalogue import Upsert, encode_upsert
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry, OffsetToken
from schemas.offline.manifest import DataWindow, Manifest
from serving.config import Settings
from serving.main import create_app
from serving.service.service import Stores

PARTITIONS = 4
ITEMS, GROUPS, USERS_COUNT = 80, 8, 60


@dataclass
class EmbeddedShop:
    """Writes to the log and folds it by hand, as nearline's loop does."""

    folder: Path

    def __post_init__(self) -> None:
        self.writer = SqliteLogWriter(self.folder, PARTITIONS)
        self.reader = SqliteLogReader(self.folder)
        self.store = SqliteSignalStore(self.folder)
        self.models = SqliteModelStore(self.folder)
        self._processors: dict[tuple[str, int], Processor] = {}
        self._number = 0
        self._ticks = 0

    def append(self, topic: str, key: str, value: bytes) -> OffsetToken:
        done: Future = self.writer.append(topic, [LogEntry(key.encode(), value)])
        (token,) = done.result(timeout=10)
        assert isinstance(token, OffsetToken), token
        return token

    def put_item(self, item_id: str, **fields) -> OffsetToken:
        upsert = Upsert(id=item_id, op="put", fields=fields, received_at=datetime.now(UTC))
        return self.append(topics.ITEMS, item_id, encode_upsert(upsert))

    def event(self, kind: str, user_id: str, item_id: str | None = None, ago: float = 0.0, **fields) -> OffsetToken:
        self._number += 1
        at = datetime.fromtimestamp(time.time() - ago, UTC)
        event = LoggedEvent(
            event_id=f"e{self._number}",
            type=kind,
            user_id=user_id,
            item_id=item_id,
            occurred_at=at,
            received_at=at,
            **fields,
        )
        return self.append(topics.EVENTS, user_id, encode_event(event))

    def fold(self) -> None:
        for topic in topics.FACTS:
            for partition in range(PARTITIONS):
                self._fold(topic, partition)

    def train(self, version: str, shift: int = 0) -> None:
        """Factors in which a group of items is an axis, user n likes group n + shift; published as offline does."""
        rng = np.random.default_rng(3)
        item_ids = tuple(f"game/{n}" for n in range(ITEMS))
        user_ids = tuple(f"user-{n}" for n in range(USERS_COUNT))
        items = np.eye(GROUPS)[[n % GROUPS for n in range(ITEMS)]] + 0.05 * rng.random((ITEMS, GROUPS))
        likes = np.eye(GROUPS)[[(n + shift) % GROUPS for n in range(USERS_COUNT)]]
        als = Als(user_ids, item_ids, likes, items, regularization=0.1, alpha=1.0)
        mates = np.array([[m for m in range(ITEMS) if m != n and m % GROUPS == n % GROUPS] for n in range(ITEMS)])
        near = Neighbours(item_ids, mates, np.tile(np.linspace(0.9, 0.2, mates.shape[1]), (ITEMS, 1)))
        popular = Popularity(item_ids, np.arange(ITEMS, 0, -1, dtype=np.float32))
        values = {"als": als.save(), "neighbours": near.save(), "popularity": popular.save()}
        lists = ((user, ScoredList.best(item_ids, als.score(als.vector(user)), 40).save()) for user in user_ids)
        self.models.write(_manifest(version), values, {USERS: lists})
        self.models.activate(version, self.models.active())

    def close(self) -> None:
        for part in (self.writer, self.reader, self.store, self.models):
            part.close()

    def _fold(self, topic: str, partition: int) -> None:
        key = topic, partition
        if key not in self._processors:
            self._processors[key] = processor_for(topic, partition, self.reader.log_id(topic), self.store, _refused)
        processor = self._processors[key]
        records = self.reader.read(topic, partition, processor.resume(), 10_000)
        if records:
            processor.process(records, time.time())
        # Each tick a while after the last, so that aggregates are always due.
        self._ticks += 1
        processor.tick(time.time() + 10 * self._ticks)


def _refused(record, reason):
    pytest.fail(f"{record} was refused: {reason}")


def _manifest(version: str) -> Manifest:
    return Manifest(
        version=version,
        created_at=datetime.now(UTC),
        algorithm="als",
        engine="single",
        parameters={},
        window=DataWindow(interactions=1, users=USERS_COUNT, items=ITEMS, last_at=datetime.now(UTC)),
        offsets={},
        values=("als", "neighbours", "popularity"),
        lists={USERS: USERS_COUNT},
    )


@pytest.fixture
def embedded(tmp_path: Path):
    """A shop with a catalogue of 80 items in 8 groups, whose ids hold a slash, some history, and a model."""
    shop = EmbeddedShop(tmp_path)
    for number in range(ITEMS):
        shop.put_item(f"game/{number}", title=f"Game {number}", categories=[f"group {number % GROUPS}"])
    for number in range(USERS_COUNT):
        shop.event("view", f"user-{number}", f"game/{number}", ago=40 * 86_400 + number)
    shop.fold()
    shop.train("v1")
    yield shop
    shop.close()


@pytest.fixture
async def client(embedded: EmbeddedShop) -> AsyncIterator[httpx.AsyncClient]:
    """The whole application on that shop's files."""
    folder = embedded.folder
    stores = Stores(
        SqliteSignalReader(folder),
        SqliteListReader(folder),
        SqliteModelStore(folder),
        SqliteLogWriter(folder, PARTITIONS),
        SqliteDocuments(folder),
    )
    shown = dict.fromkeys(("docs", "page", "page_users", "similar_users"), True)
    app: FastAPI = create_app(Settings(partitions=PARTITIONS, store_seconds=2.0, model_seconds=0.1, **shown), stores)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        yield client
