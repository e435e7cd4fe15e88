"""What every test may ask for: real servers, each started once and only when wanted, and data sets."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import hypothesis
import pytest

from deploy.local import groups
from deploy.local import stack as servers
from deploy.local.config import SERVERS, StackConfig
from deploy.local.errors import DownloadFailed, ProgramMissing, UnsupportedSystem, WrongJava
from schemas.clock_skew import CLOCK_SKEW, ClockSkew
from schemas.events import LoggedEvent

ROOT = Path(__file__).resolve().parents[1]
CANNOT_RUN_HERE = (ProgramMissing, WrongJava, UnsupportedSystem, DownloadFailed)

Ensure = Callable[[str], StackConfig]


def pytest_configure() -> None:
    # A CI that gives up sends SIGTERM: as with Ctrl-C, the servers must be stopped all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Servers and Spark sessions live for minutes here: code compiled once and roughly starts them in half the time.
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    # A process beside another gets the width of a terminal that is not there; commands would wrap their tables.
    os.environ.pop("COLUMNS", None)
    # A busy machine is no reason to fail.
    hypothesis.settings.register_profile("freshet", deadline=None)
    hypothesis.settings.load_profile("freshet")


def pytest_runtest_setup() -> None:
    # One measurement a process: a test with a clock of its own must not move the time of the next one.
    vars(CLOCK_SKEW).update(vars(ClockSkew()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the servers of test processes that were ended before they could do so."""
    if not hasattr(session.config, "workerinput"):
        for folder in session.config._tmp_path_factory.getbasetemp().glob("popen-*/stack*"):
            servers.stop(StackConfig(folder=folder))


@pytest.fixture(scope="session")
def ensure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensure]:
    """Starts a server of the tests' own stack where it does not run, and gives the stack's addresses."""
    config = StackConfig.with_free_ports(tmp_path_factory.mktemp("stack"))
    missing: dict[str, str] = {}

    def ensure(server: str) -> StackConfig:
        if server not in missing:
            try:
                servers.start(config, [server])
            except CANNOT_RUN_HERE as error:
                missing[server] = str(error)
        if server in missing:
            _cannot_run(missing[server])
        return config

    yield ensure
    servers.stop(config)
    for server in SERVERS:
        servers.wipe(config, server)


def _cannot_run(reason: str) -> None:
    if os.environ.get("FRESHET_REQUIRE_STACK") == "1":
        pytest.fail(f"FRESHET_REQUIRE_STACK=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def redis_url(ensure_server: Ensure) -> str:
    """A running Redis, as ``redis://host:port/0``."""
    return ensure_server("redis").environment()["FRESHET_REDIS"]


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[groups.NodeGroup]:
    """A Redis Cluster of three masters, each with a replica."""
    yield from _group(groups.redis_cluster, tmp_path_factory.mktemp("redis-cluster"))


@pytest.fixture(scope="session")
def redis_sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[groups.NodeGroup]:
    """A Redis with a replica, and three sentinels."""
    yield from _group(groups.redis_sentinels, tmp_path_factory.mktemp("redis-sentinels"))


def _group(
    open_group: Callable[[Path], AbstractContextManager[groups.NodeGroup]], folder: Path
) -> Iterator[groups.NodeGroup]:
    with ExitStack() as opened:
        try:
            group = opened.enter_context(open_group(folder))
        except CANNOT_RUN_HERE as error:
            _cannot_run(str(error))
        yield group


@pytest.fixture
def kafka_servers(ensure_server: Ensure) -> str:
    """A running Kafka, as ``host:port``."""
    return ensure_server("kafka").environment()["FRESHET_KAFKA"]


@pytest.fixture
def cassandra_hosts(ensure_server: Ensure) -> str:
    """A running Cassandra, as ``host:port``."""
    return ensure_server("cassandra").environment()["FRESHET_CASSANDRA"]


@pytest.fixture
def stack(ensure_server: Ensure) -> StackConfig:
    """Kafka, Redis and Cassandra, all running; one that a test before this killed is started again."""
    config = StackConfig()
    for server in SERVERS:
        config = ensure_server(server)
    return config


@pytest.fixture
def site() -> str:
    """A site name of this test's own, so that tests can share servers."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of the test data sets: $FRESHET_DATASETS, else ../shared/data."""
    chosen = os.environ.get("FRESHET_DATASETS")
    folder = Path(chosen) if chosen else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"there are no data sets in {folder}; name their folder with FRESHET_DATASETS")
    return folder


Traffic = Callable[..., list[LoggedEvent]]


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    """Makes events of a few people who do everything there is: repeats, retractions and forgetting too."""

    def traffic(random: Random, count: int, people: int = 4, items: int = 12) -> list[LoggedEvent]:
        kinds = ["click"] * 8 + ["view"] * 4 + ["like"] * 3 + ["unlike", "dislike", "rating", "impression"]
        kinds += ["search", "search", "retract", "identify", "forget", "repeat", "cart", "purchase", "impression"]
        made: list[LoggedEvent] = []
        for number in range(count):
            kind = random.choice(kinds)
            if kind in {"repeat", "retract"} and made:
                old = random.choice(made)
                kind = old.type if kind == "repeat" else kind
                made.append(_of_kind(kind, old.event_id, old.user_id or "", old.item_id or "i0", random))
            else:
                person, item = f"user{random.randrange(people)}", f"i{random.randrange(items)}"
                made.append(_of_kind(kind, f"e{number}", person, item, random))
        return made

    return traffic


def _of_kind(kind: str, event_id: str, person: str, item: str, random: Random) -> LoggedEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=random.choice([0, 60, 4_000, 90_000, 10**6, -(10**9)]))
    return LoggedEvent(
        event_id=event_id,
        type=kind,
        user_id=person,
        anonymous_id=f"guest{random.randrange(3)}" if kind == "identify" else None,
        session_id=random.choice([None, "s1", "s2"]),
        item_id=None if kind in {"search", "identify", "forget"} else item,
        value=random.choice([1.0, 4.5]) if kind == "rating" else None,
        query=f"query {random.randrange(3)}" if kind == "search" else None,
        recommendation_id=random.choice([None, "r1"]),
        position=random.choice([None, 0, 7]),
        impression=[f"i{n}" for n in range(random.randrange(4))] if kind == "impression" else None,
        context=random.choice([None, {"country": random.choice(["DE", "FR"]), "device": "phone"}]),
        properties=random.choice([None, None, {"basket_id": f"b{random.randrange(3)}"}]),
        occurred_at=at,
        received_at=datetime(2026, 1, 15, tzinfo=UTC),
    )
