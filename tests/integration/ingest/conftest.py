"""The collector over a real embedded log, called without a network; a writer that can be made to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from ingest.config import IngestSettings
from ingest.main import create_app
from schemas.errors import LogUnavailable
from schemas.log.records import LogEntry, Record
from schemas.ports import Appended


class Failing:
    """A LogWriter before another: raises ``error``, keeps ``silent`` for ever, or loses the entries of ``keys``."""

    def __init__(self, writer: SqliteLogWriter) -> None:
        self._writer = writer
        self.error: Exception | None = None
        self.silent = False
        self.keys: set[bytes] = set()

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        if self.error is not None:
            raise self.error
        if self.silent:
            return Future()
        future: Future[list[Appended]] = Future()
        taken = iter(self._writer.append(topic, [e for e in entries if e.key not in self.keys]).result(10))
        future.set_result(
            [LogUnavailable("its partition is away") if e.key in self.keys else next(taken) for e in entries]
        )
        return future

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Failing]:
    writer = Failing(SqliteLogWriter(tmp_path))
    yield writer
    writer.close()


@pytest.fixture
def records(log: Failing, tmp_path: Path) -> Callable[[str], list[Record]]:
    def read(topic: str) -> list[Record]:
        reader = SqliteLogReader(tmp_path)
        found = [record for partition in range(8) for record in reader.read(topic, partition, 0, 10_000)]
        reader.close()
        return found

    return read


@pytest.fixture
def app_with(log: Failing, tmp_path: Path) -> Callable[..., FastAPI]:
    """Makes the collector with these settings."""

    def make(**settings: object) -> FastAPI:
        return create_app(IngestSettings(stack="embedded", data=tmp_path, **settings), log, SqliteLogReader(tmp_path))

    return make


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector")


@pytest.fixture
async def client(app_with: Callable[..., FastAPI]) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_with()) as opened:
        yield opened


@pytest.fixture
def connect() -> Callable[[FastAPI], httpx.AsyncClient]:
    return client_of
