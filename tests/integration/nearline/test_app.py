"""The Faust app keeps what the group assigns, also while the thread that applies is busy."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("faust", reason="needs the extra `cluster`")

from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from nearline.cluster import app as app_module
from nearline.config import NearlineConfig
from nearline.watch import Watch
from schemas.configuration.site import topic_prefix
from schemas.log import topics
from schemas.log.topics import topic_name


@pytest.fixture
def working(hands, tmp_path):
    """Returns the app and its assignment. No connection is made."""
    config = NearlineConfig(stack="cluster", kafka="127.0.0.1:1", prefix="site", worker_dir=tmp_path)
    assignment = hands.assignment()
    return app_module.NearlineApp(config, assignment, Watch(hands.log, hands.store), pytest.fail), assignment


@pytest.fixture
def busy(working):
    """Keeps the thread that applies busy until the event is set."""
    app, _ = working
    free = threading.Event()
    app._thread.submit(free.wait)
    yield free
    free.set()


def events(partition: int) -> TP:
    return TP(topic_name(topics.EVENTS, topic_prefix("site")), partition)


async def thread_done(app) -> None:
    """Waits until the thread that applies has done all that it was given."""
    await asyncio.wrap_future(app._thread.submit(lambda: None))


async def test_an_assigned_partition_is_kept_and_delivered_from_where_its_log_ended(working, hands):
    app, assignment = working
    hands.log.add(0)
    assert await app.assigned({events(0)}) == {events(0): 1}
    assert [worker.partition for worker in assignment.workers] == [0]


async def test_a_busy_thread_holds_up_no_assignment_and_opens_the_partitions_later(working, busy, monkeypatch):
    app, assignment = working
    monkeypatch.setattr(app_module, "OPEN_SECONDS", 0.01)
    assert await app.assigned({events(0), events(1)}) == {}
    busy.set()
    await thread_done(app)
    assert sorted(worker.partition for worker in assignment.workers) == [0, 1]


async def test_a_partition_that_is_revoked_before_the_thread_was_free_is_not_kept(working, busy, monkeypatch):
    app, assignment = working
    monkeypatch.setattr(app_module, "OPEN_SECONDS", 0.01)
    await app.assigned({events(0), events(1)})
    await app._revoked({events(0)})
    busy.set()
    await thread_done(app)
    assert [worker.partition for worker in assignment.workers] == [1]


async def test_an_error_of_the_group_ends_a_fetch_but_not_the_worker(working, monkeypatch):
    async def refused(*_):
        raise KafkaError("the group cannot form")

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", refused)
    app, _ = working
    consumer = app._new_consumer()
    consumer.resume_flow()
    assert await consumer._thread._fetch_records(None, set(), 0.0) == {}


def test_faust_waits_for_an_assignment_longer_than_the_app_does():
    assert app_module.OPEN_SECONDS < app_module.REQUEST_SECONDS
