"""Sites with events, a model version and documents, to back up."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.wiring.dependencies import Dependencies
from schemas.backups import BACKUPS
from schemas.catalogue import Upsert, encode_upsert
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.offline.manifest import DataWindow, Manifest

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def freshet():
    """Runs a command in this process; returns its exit code and what it printed."""

    def freshet(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.output + str(result.exception or "")

    return freshet


def events(count: int, seed: int = 1) -> list[LogEntry]:
    chance = random.Random(seed)
    made = []
    for number in range(count):
        user = f"user{chance.randrange(40)}"
        event = LoggedEvent(
            event_id=f"{seed}-{number}",
            type=chance.choice(["view", "click", "like", "unlike"]),
            user_id=user,
            item_id=f"item{chance.randrange(30)}",
            occurred_at=NOW,
            received_at=NOW,
        )
        made.append(LogEntry(user.encode(), encode_event(event)))
    return made


def items(count: int) -> list[LogEntry]:
    upserts = [Upsert(id=f"item{n}", op="put", fields={"title": f"Item {n}"}, received_at=NOW) for n in range(count)]
    return [LogEntry(upsert.id.encode(), encode_upsert(upsert)) for upsert in upserts]


@pytest.fixture
def fill() -> Callable[[Dependencies], None]:
    """Writes events, items, a key, a model version and a document."""

    def fill(dependencies: Dependencies) -> None:
        writer = dependencies.writer
        for future in (
            writer.append(topics.EVENTS, events(600)),
            writer.append(topics.ITEMS, items(30)),
            writer.append(topics.ACCESS, [LogEntry(b"key", b"a key")]),
        ):
            assert not any(isinstance(appended, Exception) for appended in future.result(timeout=30))
        lists = {"users": {f"user{n}": f"list {n}".encode() for n in range(2_500)}, "items": {"item1": b"similar"}}
        for name in ("v1", "v2"):
            manifest = Manifest(
                version=name,
                created_at=NOW,
                algorithm="ials",
                engine="single",
                parameters={"factors": 3},
                window=DataWindow(interactions=1, users=1, items=1),
                offsets={},
                values=("factors",),
                lists={kind: len(entries) for kind, entries in lists.items()},
            )
            entries = {kind: iter(entries.items()) for kind, entries in lists.items()}
            dependencies.models.write(manifest, {"factors": bytes(1_000)}, entries)
        dependencies.models.activate("v1", None)
        dependencies.models.hold("v2")
        dependencies.documents.write("rating-scale", b"1..5")

    return fill


def contents(dependencies: Dependencies) -> dict:
    """All records, model versions and documents of a site, as far as a backup keeps them."""
    reader, models = dependencies.reader, dependencies.models
    records = {
        (topic, partition): [
            (record.offset, record.timestamp_ms, record.key, record.value)
            for record in reader.read(topic, partition, 0, 10_000)
        ]
        for topic in (*topics.FACTS, topics.ACCESS)
        for partition in range(reader.partitions(topic))
    }
    return {
        "records": records,
        "versions": {m.version: (m, models.value(m.version, "factors")) for m in models.versions()},
        "lists": {kind: sorted(models.entries("v1", kind)) for kind in ("users", "items")},
        "pointers": (models.active(), models.challenger()),
        "documents": {
            name: dependencies.documents.read(name)
            for name in dependencies.documents.names()
            if name != BACKUPS  # it names the backup itself
        },
    }
