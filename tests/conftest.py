"""What every test may ask for: real servers, each started once and only when wanted, and data sets."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import stack as servers
from deploy.local.config import SERVERS, StackConfig
from deploy.local.errors import DownloadFailed, ProgramMissing, UnsupportedSystem, WrongJava

ROOT = Path(__file__).resolve().parents[1]
CANNOT_RUN_HERE = (ProgramMissing, WrongJava, UnsupportedSystem, DownloadFailed)

Ensure = Callable[[str], StackConfig]


def pytest_configure() -> None:
    # A CI that gives up sends SIGTERM: as with Ctrl-C, the servers must be stopped all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


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
    """The folder of the test data sets: $FRESHET_DATASETS, else $FRESHET_DATA, else ../shared/data."""
    chosen = os.environ.get("FRESHET_DATASETS") or os.environ.get("FRESHET_DATA")
    folder = Path(chosen) if chosen else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"there are no data sets in {folder}; name their folder with FRESHET_DATASETS")
    return folder
