"""The product as the recording needs it: the one place here that knows its inner names."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import httpx
from threadpoolctl import threadpool_limits

from adapters.sqlite_jobs import SqliteDocuments
from adapters.sqlite_log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite_models import SqliteListReader, SqliteModelStore
from adapters.sqlite_signals import SqliteSignalReader, SqliteSignalStore
from deploy.config import Settings
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.training import train_in
from nearline.loop import EmbeddedLoop
from schemas.keys import Signal
from schemas.log.records import LogEntry
from serving.config import Settings as ServingSettings
from serving.main import create_app
from serving.service.service import Stores
from serving.service.sources import Sources
from tests.golden.requests import Call
from tests.golden.traffic import LATEST, Fact

COMMAND: Final = "deploy.commands.cli"
NOW: Final = LATEST.timestamp()
PARTITIONS: Final = 4
TRAINING: Final = {
    "FRESHET_WEIGH_EVENTS": "400",
    "FRESHET_FACTORS": "16",
    "FRESHET_PARAMETERS": '{"als": {"iterations": 3}, "ials": {"iterations": 4}}',
}
"""Settings under which a training takes seconds; what is compared does not depend on how good a model is."""


def append(folder: Path, facts: Iterable[Fact]) -> None:
    """Write the log of an embedded folder, as if everything had come at NOW."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = SqliteLogWriter(folder, PARTITIONS, clock=lambda: NOW)
    for topic, group in itertools.groupby(facts, key=lambda fact: fact.topic):
        for batch in _batches(group):
            writer.append(topic, [LogEntry(fact.key, fact.value) for fact in batch]).result(60)
    writer.close()


def fold(folder: Path) -> None:
    """Fold the whole log of an embedded folder into its signals."""
    ticks = itertools.count()
    reader, store = SqliteLogReader(folder), SqliteSignalStore(folder)
    loop = EmbeddedLoop(reader, store, _refuse, lambda: NOW + 10.0 * next(ticks))
    while loop.poll() or not loop.caught_up():
        pass
    reader.close()
    store.close()


def digests(folder: Path) -> dict[str, str]:
    """One hash for each kind of stored value, over its keys and bytes, with how many there are."""
    store = SqliteSignalStore(folder)
    values: dict[str, list[tuple[int, str, bytes]]] = defaultdict(list)
    for partition, signal in itertools.product(range(PARTITIONS), Signal):
        for key, value in store.scan(partition, signal):
            kind = f"{signal.value} {key.partition(':')[0]}" if signal == Signal.AGGREGATES else signal.value
            values[kind].append((partition, key, value))
    store.close()
    return {kind: f"{len(rows)} {_digest(rows)}" for kind, rows in sorted(values.items())}


def train(folder: Path) -> dict[str, Any]:
    """Train on an embedded folder with one thread; the manifest without what names this run."""
    with (
        _environment(TRAINING),
        threadpool_limits(limits=1),
        open_dependencies(Settings(data=folder, partitions=PARTITIONS)) as parts,
    ):
        manifest = train_in(parts, "single", force=True, progress=lambda *_: None, now=LATEST)
    return {
        "algorithm": manifest.algorithm,
        "metrics": dict(manifest.metrics),
        "lists": dict(manifest.lists),
        "values": sorted(manifest.values),
        "window": [manifest.window.interactions, manifest.window.users, manifest.window.items],
    }


def count_statistics(folder: Path) -> None:
    """Publish the statistics of an embedded folder."""
    command = [sys.executable, "-m", COMMAND, "statistics", "--data", str(folder)]
    subprocess.run(
        command, env={**os.environ, "FRESHET_PARTITIONS": str(PARTITIONS)}, check=True, stdout=subprocess.DEVNULL
    )


def replay(dataset: Path, limit: int | None) -> list[Any]:
    """The rows of a replay of a data set's first events: names and metrics."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "replay.json"
        command = [sys.executable, "-m", COMMAND, "evaluate", "replay", str(dataset), "--json", str(found)]
        limits = [] if limit is None else ["--limit", str(limit)]
        # With more threads the last bits of sums depend on the machine, and learned weights on them.
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, *limits], env={**os.environ, **one_thread}, check=True, stdout=subprocess.DEVNULL)
        return [[row["name"], row["metrics"]] for row in json.loads(found.read_text())["rows"]]


def answers_of_folder(folder: Path, calls: list[Call]) -> list[Any]:
    """Status and body of each call to an online API over an embedded folder."""
    stores = Stores(
        SqliteSignalReader(folder),
        SqliteListReader(folder),
        SqliteModelStore(folder),
        documents=SqliteDocuments(folder),
    )
    return asyncio.run(
        _answers(stores, ServingSettings(partitions=PARTITIONS, decisions=False, store_seconds=5.0), calls)
    )


async def _answers(stores: Stores, settings: ServingSettings, calls: list[Call]) -> list[Any]:
    ids, ticks = itertools.count(), itertools.count()
    sources = Sources(clock=lambda: NOW, steady=lambda: 100.0 * next(ticks), new_id=lambda: f"id-{next(ids)}")
    app = create_app(settings, stores, sources)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        return [await _answer(client, call) for call in calls]


async def _answer(client: httpx.AsyncClient, call: Call) -> Any:
    response = await client.request(call.method, call.path, json=call.body)
    return [response.status_code, response.json()]


def _refuse(record: Any, reason: str) -> None:
    raise AssertionError(f"{record.topic} {record.offset}: {reason}")


def _digest(rows: list[tuple[int, str, bytes]]) -> str:
    hashed = blake2b(digest_size=12)
    for partition, key, value in sorted(rows):
        hashed.update(f"{partition} {key} {len(value)} ".encode() + value)
    return hashed.hexdigest()


def _batches(facts: Iterable[Fact]) -> Iterator[tuple[Fact, ...]]:
    iterator = iter(facts)
    while batch := tuple(itertools.islice(iterator, 1_000)):
        yield batch


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
