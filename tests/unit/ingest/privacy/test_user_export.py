"""Exports of users: memory, time, one at a time, and stores that are away."""

from __future__ import annotations

import asyncio
import io
import json
import random
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from ingest.http.export import ExportDependencies, RunningExport, build_export_router
from ingest.privacy.export.stores import ExportStores
from ingest.privacy.export.zipped import CHUNK, export_chunks
from schemas.errors import ExportStopped, LogUnavailable
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.ports import ArchivedRange

ADDRESS = "/v1/users/ann/export"
MANY, NOTE = 12_000, 2_000
MIB = 1_048_576


class LongLog:
    """A LogReader of one partition whose records are made when they are read; every second one is ann's."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._random = random.Random(7)
        self.read_records = 0

    def log_id(self, _: str) -> str:
        return "log"

    def partitions(self, _: str) -> int:
        return 1

    def bounds(self, topic: str, _: int) -> tuple[int, int]:
        return 0, self._count if topic == topics.EVENTS else 0

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        batch = range(offset, min(offset + limit, self._count))
        self.read_records += len(batch)
        return [self._record(topic, partition, number) for number in batch]

    def _record(self, topic: str, partition: int, offset: int) -> Record:
        user, at = ("ann" if offset % 2 else "bob"), datetime(2026, 11, 23, tzinfo=UTC)
        note = self._random.randbytes(NOTE // 2).hex()
        event = LoggedEvent(
            event_id=f"e{offset}", type="view", user_id=user, occurred_at=at, received_at=at, properties={"note": note}
        )
        return Record(topic, partition, offset, 0, user.encode(), encode_event(event))


class NoArchive:
    def ranges(self, _: str) -> list[Any]:
        return []


def stores_of(log: LongLog) -> ExportStores:
    signals = SimpleNamespace(load=lambda *_: [None])
    models = SimpleNamespace(active=lambda: None, versions=list)
    return ExportStores(log, NoArchive(), signals, models, [])  # type: ignore[arg-type]


@contextmanager
def opened(log: LongLog, wait: Callable[[], object] = lambda: None) -> Iterator[ExportStores]:
    wait()
    yield stores_of(log)


def test_memory_does_not_grow_with_the_history():
    log, written = LongLog(MANY), 0
    tracemalloc.start()
    try:
        for chunk in export_chunks(lambda: opened(log), "ann", time.time, lambda: None):
            assert len(chunk) < 4 * CHUNK
            written += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written > MANY * NOTE / 5, "the notes hardly shrink, so that much was written"
    assert peak < 4 * MIB < written


def test_records_are_read_when_there_is_room_for_them():
    log = LongLog(MANY)
    chunks = export_chunks(lambda: opened(log), "ann", time.time, lambda: None)
    next(chunks)
    assert log.read_records == 0, "the README is sent before the log is read"
    next(chunks)
    next(chunks)
    assert log.read_records < 1.2 * MANY, "one search for guests, and the beginning of the events"
    chunks.close()


def test_the_events_of_a_long_history_are_all_there():
    content = b"".join(export_chunks(lambda: opened(LongLog(1_001)), "ann", time.time, lambda: None))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        lines = archive.read("events.jsonl").splitlines()
    assert len(lines) == 500
    assert b'"event_id":"e999"' in lines[-1]


def test_events_that_only_the_archive_still_has_come_before_those_of_the_log():
    whole = LongLog(20).read(topics.EVENTS, 0, 0, 20)
    kept, archived = whole[10:], whole[:14]
    log = LongLog(20)
    log.bounds = lambda topic, _: (10, 20) if topic == topics.EVENTS else (0, 0)  # type: ignore[method-assign]
    log.read = lambda _topic, _partition, offset, limit: [r for r in kept if r.offset >= offset][:limit]  # type: ignore[method-assign]

    def read(topic: str, log_id: str, partition: int, begin: int, end: int) -> Iterator[Record]:
        return (record for record in archived if begin <= record.offset < end)

    archive = SimpleNamespace(ranges=lambda _: [ArchivedRange("log", 0, 0, 14)], read=read)
    stores = nullcontext(stores_of(log)._replace(archive=archive))  # type: ignore[arg-type]
    content = b"".join(export_chunks(lambda: stores, "ann", time.time, lambda: None))
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        lines = [json.loads(line) for line in zipped.read("events.jsonl").splitlines()]
    assert [line["offset"] for line in lines] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]


async def test_an_export_that_takes_too_long_is_given_up():
    released = threading.Event()
    export = RunningExport(
        lambda check: export_chunks(lambda: opened(LongLog(MANY)), "ann", time.time, check), 0.0, released.set
    )
    assert await export.chunk(), "the README"
    with pytest.raises(ExportStopped, match="FRESHET_USER_EXPORT_MINUTES"):
        await export.chunk()
    export.close()
    assert await asyncio.to_thread(released.wait, 10)


async def test_an_export_that_nobody_reads_any_more_stops_and_closes_its_stores():
    closed, released = threading.Event(), threading.Event()

    @contextmanager
    def stores_that_close() -> Iterator[ExportStores]:
        try:
            yield stores_of(LongLog(MANY))
        finally:
            closed.set()

    export = RunningExport(lambda check: export_chunks(stores_that_close, "ann", time.time, check), 60.0, released.set)
    await export.chunk()
    export.close()
    export.close()
    assert await asyncio.to_thread(released.wait, 10)
    assert closed.is_set()


def client_of(open_stores: Callable[[], Any]) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(build_export_router(ExportDependencies(open_stores, None, time.time, 60.0)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site")


async def answered(client: httpx.AsyncClient, status: int) -> httpx.Response:
    """The answer to an export, once it has this status: the thread of the last one may still be closing its stores."""
    for _ in range(100):
        response = await client.get(ADDRESS)
        if response.status_code == status:
            return response
        await asyncio.sleep(0.05)
    raise AssertionError(response.text)


async def test_one_export_at_a_time_and_the_next_when_it_has_ended():
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(10)

    async with client_of(lambda: opened(LongLog(10), wait)) as client:
        first = asyncio.create_task(client.get(ADDRESS))
        assert await asyncio.to_thread(begun.wait, 10)
        refused = await client.get(ADDRESS)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        go_on.set()
        assert (await first).status_code == 200
        await answered(client, 200)


async def test_a_store_that_is_away_is_said_and_the_next_export_may_begin():
    fault: list[Exception] = [LogUnavailable("the log is away")]

    def wait() -> None:
        if fault:
            raise fault.pop()

    async with client_of(lambda: opened(LongLog(10), wait)) as client:
        refused = await client.get(ADDRESS)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "the log is away" in refused.json()["detail"]
        await answered(client, 200)


async def test_an_id_that_cannot_be_one_is_refused():
    async with client_of(lambda: opened(LongLog(0))) as client:
        refused = await client.get("/v1/users/%20ann/export")
        assert (refused.status_code, refused.json()["field"]) == (400, "user_id")
