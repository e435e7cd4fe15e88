"""The product as the recording needs it: the one place here that knows its inner names."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import numpy as np
from threadpoolctl import threadpool_limits

from adapters.kafka.log import KafkaLogWriter
from adapters.sqlite.jobs import SqliteDocuments
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.models import SqliteListReader, SqliteModelStore
from adapters.sqlite.signals import SqliteSignalReader, SqliteSignalStore
from deploy.config import CommandSettings
from deploy.processes import cluster
from deploy.processes.supervisor import Supervisor
from deploy.wiring.dependencies import open_dependencies, prepare
from deploy.wiring.online import open_stores
from deploy.wiring.training import train_in
from models.structures.lists import ScoredList
from nearline.loop import EmbeddedLoop
from nearline.processor import SIGNALS
from schemas.configuration.site import topic_prefix
from schemas.keys import Signal
from schemas.log.records import LogEntry
from schemas.ports import Clock, LogReader, LogWriter, ModelStore, SignalStore
from serving.config import Settings as ServingSettings
from serving.main import create_app
from serving.service.service import Stores
from serving.service.time_and_ids import TimeAndIds
from signals import user_codec
from tests.e2e.systems import free_port
from tests.golden.requests import Call
from tests.golden.traffic import LATEST, Fact

COMMAND: Final = "deploy.commands.cli"
NOW: Final = LATEST.timestamp()
PARTITIONS: Final = 4
RANKING: Final = {"sources": {"cluster_popular": 0.0, "cold_items": 0.0, "popular_in_segment": 0.0}}
"""Candidate sources that came after the recording are switched off."""
LATER_KINDS: Final = frozenset({"aggregates people"})
"""Kinds of stored values that came after the recording."""
TRAINING: Final = {
    "FRESHET_RANKING": json.dumps(RANKING),
    "FRESHET_WEIGH_EVENTS": "4000",
    "FRESHET_FACTORS": "16",
    "FRESHET_MODELS": "ease-auto,user-knn,session-knn",
    "FRESHET_PARAMETERS": '{"als": {"iterations": 3}, "ials": {"iterations": 4}}',
}
"""Settings under which a training takes seconds and every candidate source has what it needs."""
_LISTS_APART: Final = 25
"""Of the published lists every so many-th is recorded."""
_ROOT: Final = Path(__file__).resolve().parents[2]
_FOLD_SECONDS: Final = 240.0
_READY_SECONDS: Final = 60.0
_BATCH_SECONDS: Final = 0.005


class Site(NamedTuple):
    """A site of the recording: its data folder, and which stack keeps it, where."""

    folder: Path
    settings: CommandSettings

    @property
    def embedded(self) -> bool:
        return self.settings.stack == "embedded"

    @property
    def environment(self) -> dict[str, str]:
        """What a process of its own needs to work on this site."""
        names = ("stack", "kafka", "redis", "cassandra", "prefix", "partitions")
        return {**os.environ, **{f"FRESHET_{name.upper()}": str(getattr(self.settings, name)) for name in names}}


def embedded_site(folder: Path) -> Site:
    """A site in the SQLite files of an empty folder."""
    return Site(folder, CommandSettings(stack="embedded", data=folder, partitions=PARTITIONS))


def cluster_site(folder: Path, addresses: Mapping[str, str]) -> Site:
    """A site of its own on real servers, whose addresses are named as ``FRESHET_KAFKA`` and the like."""
    settings = CommandSettings(
        prefix=f"g{uuid.uuid4().hex[:10]}", data=folder, archive=folder / "archive", partitions=PARTITIONS
    )
    settings = settings.with_servers(addresses)
    prepare(settings)
    return Site(folder, settings)


def append(site: Site, facts: Iterable[Fact]) -> None:
    """Write the log, each batch some milliseconds later than the one before."""
    site.folder.mkdir(parents=True, exist_ok=True)
    number = itertools.count()
    with closing(_writer(site, lambda: NOW + _BATCH_SECONDS * next(number))) as writer:
        for topic, group in itertools.groupby(facts, key=lambda fact: fact.topic):
            for batch in _batches(group):
                writer.append(topic, [LogEntry(fact.key, fact.value) for fact in batch]).result(60)
                if not site.embedded:
                    time.sleep(_BATCH_SECONDS)


def fold(site: Site) -> None:
    """Fold the whole log into the signals, by the embedded loop or by the cluster's workers."""
    if site.embedded:
        _fold_embedded(site.folder)
    else:
        _fold_by_workers(site)


def digests(site: Site) -> dict[str, str]:
    """One hash for each kind of stored value, over its keys and bytes, with how many there are."""
    values: dict[str, list[tuple[int, str, bytes]]] = defaultdict(list)
    with open_dependencies(site.settings) as parts:
        for partition, signal in itertools.product(range(PARTITIONS), Signal):
            for key, value in parts.signals.scan(partition, signal):
                kind = f"{signal.value} {key.partition(':')[0]}" if signal == Signal.AGGREGATES else signal.value
                if kind in LATER_KINDS:
                    continue
                whole = user_codec.whole(value) if signal == Signal.USERS else value
                values[kind].append((partition, key, whole))
    return {kind: f"{len(rows)} {_digest(rows)}" for kind, rows in sorted(values.items())}


def train(site: Site) -> dict[str, Any]:
    """Train in a process of its own, by the same kernels on every processor; what was published."""
    command = [sys.executable, "-m", "tests.golden.subject", str(site.folder), site.settings.model_dump_json()]
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    trained = subprocess.run(command, env=environment, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    published: dict[str, Any] = json.loads(trained.stdout.splitlines()[-1])
    return published


def train_here(site: Site) -> dict[str, Any]:
    """Train with one thread; what was published, without what names this run."""
    with _environment(TRAINING), threadpool_limits(limits=1), open_dependencies(site.settings) as parts:
        manifest = train_in(parts, "single", force=True, progress=lambda *_: None, now=LATEST)
        return {
            "algorithm": manifest.algorithm,
            "metrics": dict(manifest.metrics),
            "lists": dict(manifest.lists),
            "window": [manifest.window.interactions, manifest.window.users, manifest.window.items],
            "values": {name: _arrays(parts.models.value(manifest.version, name)) for name in sorted(manifest.values)},
            "some lists": {kind: _some_lists(parts.models, manifest.version, kind) for kind in sorted(manifest.lists)},
        }


def count_statistics(site: Site) -> None:
    """Publish the statistics."""
    command = [sys.executable, "-m", COMMAND, "statistics", "--data", str(site.folder), "--stack", site.settings.stack]
    subprocess.run(command, env=site.environment, check=True, stdout=subprocess.DEVNULL)


def answers(site: Site, calls: list[Call]) -> list[Any]:
    """Status and body of each call to an online API over the site's stores."""
    plain = ServingSettings(
        partitions=PARTITIONS, decisions=False, store_seconds=5.0, ranking=RANKING, admit_after=1, similar_users=True
    )
    if site.embedded:
        folder = site.folder
        documents = SqliteDocuments(folder)
        stores = Stores(
            SqliteSignalReader(folder), SqliteListReader(folder), SqliteModelStore(folder), documents=documents
        )
        return asyncio.run(_answers(stores, plain, calls))
    places = {name: getattr(site.settings, name) for name in ("stack", "kafka", "redis", "cassandra", "prefix")}
    settings = plain.model_copy(update=places)
    return asyncio.run(_answers(open_stores(settings), settings, calls))


def replay(path: Path, options: Sequence[str]) -> list[Any]:
    """The rows of a replay of a data set."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "replay.json"
        command = [sys.executable, "-m", COMMAND, "evaluate", "replay", str(path), *options, "--json", str(report)]
        # With more threads the last bits of sums depend on the machine, and learned weights on them.
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "FRESHET_RANKING": json.dumps(RANKING)}
        subprocess.run(command, env={**os.environ, **one_thread}, check=True, stdout=subprocess.DEVNULL)
        return replay_rows(report)


def replay_rows(report: Path) -> list[Any]:
    """What is recorded of a report that ``freshet evaluate replay --json`` wrote; sources that are off have no rows."""
    off = {name for source in RANKING["sources"] for name in (f"{source} alone", f"without {source}")}
    rows = json.loads(report.read_text())["rows"]
    return [[row["name"], row["questions"], row["metrics"]] for row in rows if row["name"] not in off]


def _fold_embedded(folder: Path) -> None:
    ticks = itertools.count()
    with closing(SqliteLogReader(folder)) as reader, closing(SqliteSignalStore(folder)) as store:
        loop = EmbeddedLoop(reader, store, _refuse, lambda: NOW + 10.0 * next(ticks))
        while loop.poll() or not loop.caught_up():
            pass


def _fold_by_workers(site: Site) -> None:
    # Workers alone: a collector would also carry out the erasures that the log asks for.
    ports = cluster.Ports(free_port(), free_port(), free_port())
    services = cluster.services(site.settings, ports, workers=2, folder=site.folder)
    supervisor = Supervisor(
        [service for service in services if service.module == "nearline.main"], site.folder / "logs"
    )
    supervisor.start()
    try:
        deadline = time.monotonic() + _FOLD_SECONDS
        with open_dependencies(site.settings) as parts:
            while not _folded(parts.reader, parts.signals):
                assert time.monotonic() < deadline, "the workers have not folded the log"
                time.sleep(0.2)
    finally:
        supervisor.stop()


def _folded(reader: LogReader, store: SignalStore) -> bool:
    """Whether every fence stands at the end of its partition."""
    for topic, signals in SIGNALS.items():
        for partition in range(PARTITIONS):
            end = reader.bounds(topic, partition)[1]
            fences = [store.fence(partition, signal) for signal in signals]
            if any((-1 if fence is None else fence.offset) < end - 1 for fence in fences):
                return False
    return True


def _writer(site: Site, clock: Clock) -> LogWriter:
    settings = site.settings
    if site.embedded:
        return SqliteLogWriter(site.folder, PARTITIONS, clock=clock)
    return KafkaLogWriter(settings.kafka, topic_prefix(settings.prefix), PARTITIONS)


async def _answers(stores: Stores, settings: ServingSettings, calls: list[Call]) -> list[Any]:
    ids, moment = itertools.count(), itertools.count()
    steady = [0.0]
    time_and_ids = TimeAndIds(clock=lambda: NOW, steady=lambda: steady[0], new_id=lambda: f"id-{next(ids)}")
    app = create_app(settings, stores, time_and_ids)
    transport = httpx.ASGITransport(app=app)
    answered: list[Any] = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        await _ready(client)
        for call in calls:
            if not call.follows:  # What is asked next finds nothing in the cache; the next page does.
                steady[0] = 100.0 * next(moment)
            answered.append(await _answer(client, call, answered[-1] if answered else None))
    return answered


async def _ready(client: httpx.AsyncClient) -> None:
    """Wait until the catalogue, the aggregates and the model have been read, which a busy machine may put off."""
    deadline = time.monotonic() + _READY_SECONDS
    while (answer := await client.get("/health/ready")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


async def _answer(client: httpx.AsyncClient, call: Call, previous: Any) -> Any:
    path = call.path
    if call.follows and previous is not None and isinstance(previous[1], dict) and previous[1].get("next_cursor"):
        path += f"&cursor={previous[1]['next_cursor']}"
    brought = (
        {"content": call.body, "headers": {"Content-Type": "application/json"}}
        if isinstance(call.body, str)
        else {"json": call.body}
    )
    response = await client.request(call.method, path, **brought)
    answer = response.json()
    if call.unordered and "items" in answer:
        answer["items"] = len(answer["items"])
    return [response.status_code, answer]


def _arrays(model: bytes) -> dict[str, Any]:
    """A fingerprint of each stored array: floats by their sums, which hardly depend on the processor, others by hash."""
    with np.load(io.BytesIO(model), allow_pickle=False) as stored:
        return {name: _fingerprint(stored[name]) for name in sorted(stored.files)}


def _fingerprint(array: Any) -> list[Any]:
    if array.dtype.kind != "f":
        return [str(array.dtype), list(array.shape), blake2b(array.tobytes(), digest_size=8).hexdigest()]
    numbers = array.astype(np.float64).ravel()
    waves = np.cos(np.arange(numbers.size))
    return [str(array.dtype), list(array.shape), float(np.abs(numbers).sum()), float((numbers * waves).sum())]


def _some_lists(models: ModelStore, version: str, kind: str) -> dict[str, Any]:
    """Every so many-th list, its first ten ids with their scores."""
    stored = dict(models.entries(version, kind))
    return {key: list(ScoredList.load(stored[key]))[:10] for key in sorted(stored)[::_LISTS_APART]}


def _refuse(record: Any, reason: str) -> None:
    raise AssertionError(f"{record.topic} {record.offset}: {reason}")


def _digest(rows: list[tuple[int, str, bytes]]) -> str:
    hashed = blake2b(digest_size=12)
    for partition, key, value in sorted(rows):
        hashed.update(f"{partition} {key} {len(value)} ".encode() + value)
    return hashed.hexdigest()


def _batches(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    """Facts that the log may take at one moment; what must stand between two moments comes alone."""
    for alone, group in itertools.groupby(facts, key=lambda fact: fact.alone):
        rest = list(group)
        size = 1 if alone else 1_000
        yield from (rest[start : start + size] for start in range(0, len(rest), size))


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


if __name__ == "__main__":
    print(json.dumps(train_here(Site(Path(sys.argv[1]), CommandSettings.model_validate_json(sys.argv[2])))))
