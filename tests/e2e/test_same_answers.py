"""From the same log, the embedded set and the real servers give the same lists."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import httpx
import pytest

from adapters.kafka.log import KafkaLogWriter
from adapters.sqlite.log import SqliteLogReader
from adapters.sqlite.models import SqliteListReader, SqliteModelStore
from adapters.sqlite.signals import SqliteSignalReader
from deploy.config import CommandSettings
from deploy.processes import cluster
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.online import open_stores
from schemas.configuration import site
from schemas.log import topics
from schemas.log.records import LogEntry
from serving.config import Settings as ServingSettings
from serving.main import create_app
from serving.service.service import Stores
from serving.service.time_and_ids import TimeAndIds
from tests.e2e.conftest import Ensure, cluster_settings
from tests.e2e.systems import (
    QUICK,
    USERS_APART,
    EmbeddedSystem,
    eventually,
    free_port,
    freshet,
    running,
    some_movies,
    wait_for_aggregates,
    wait_until_ready,
)

USERS = 200
COUNT = 20
NOW = 1_800_000_000.0
"""A fixed moment after every rating."""


def _copy(folder: Path, settings: CommandSettings) -> None:
    """Append the embedded log's facts to Kafka: the same bytes, in the same order of each partition."""
    reader, writer = SqliteLogReader(folder), KafkaLogWriter(settings.kafka, site.topic_prefix(settings.prefix))
    for topic in topics.FACTS:
        for partition in range(reader.partitions(topic)):
            offset, end = reader.bounds(topic, partition)
            while offset < end:
                records = reader.read(topic, partition, offset, 2_000)
                landed = writer.append(topic, [LogEntry(each.key, each.value) for each in records]).result(60)
                assert [str(each) for each in landed] == [f"{partition}:{record.offset}" for record in records]
                offset = records[-1].offset + 1
    writer.close()
    reader.close()


async def _lists(stores: Stores, settings: ServingSettings) -> dict[str, list[str]]:
    """The first items of so many users at the fixed moment, from an online API over these stores."""
    app = create_app(settings, stores, TimeAndIds(clock=lambda: NOW))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        lists = {}
        for user in range(USERS_APART, USERS_APART * USERS + 1, USERS_APART):
            answer = (await client.get(f"/v1/users/{user}/recommendations?count={COUNT}")).json()
            assert answer["degraded"] == []
            assert answer["model_version"]
            lists[str(user)] = [item["item_id"] for item in answer["items"]]
        return lists


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_both_stacks_give_200_users_the_same_top_20(tmp_path: Path, datasets: Path, ensure_server: Ensure) -> None:
    embedded = EmbeddedSystem(tmp_path / "data")
    folder, ratings = some_movies(datasets, tmp_path / "movies")
    freshet(embedded, "import", "movielens", str(folder))
    settings = cluster_settings(ensure_server, f"s{uuid.uuid4().hex[:10]}", tmp_path / "cluster")
    _copy(embedded.folder, settings)
    processes = cluster.start(settings, tmp_path / "cluster", cluster.Ports(free_port(), free_port(), free_port()))
    try:
        with running(embedded):
            freshet(embedded, "train", "--engine", "single")
            wait_until_ready(embedded)
        _train(tmp_path / "cluster", settings)
        eventually(lambda: cluster.ready(processes.api), 120, "the cluster is ready")
        wait_for_aggregates(processes.api, ratings)
    finally:
        processes.supervisor.stop()

    plain = ServingSettings(decisions=False, store_seconds=5.0, kafka=settings.kafka, redis=settings.redis)
    real = plain.model_copy(update={"cassandra": settings.cassandra, "prefix": settings.prefix, "stack": "cluster"})
    folder = embedded.folder
    of_files = Stores(SqliteSignalReader(folder), SqliteListReader(folder), SqliteModelStore(folder))
    on_files = asyncio.run(_lists(of_files, plain))
    on_servers = asyncio.run(_lists(open_stores(real), real))

    assert on_servers == on_files
    assert len({tuple(items) for items in on_files.values()}) > USERS / 2, "the lists are hardly personal"


def _train(folder: Path, settings: CommandSettings) -> None:
    from deploy.wiring.training import train_in

    with (
        pytest.MonkeyPatch.context() as patch,
        open_dependencies(settings.model_copy(update={"data": folder})) as parts,
    ):
        for name, value in QUICK.items():
            patch.setenv(name, value)
        train_in(parts, "single", force=False, progress=lambda *_: None)
