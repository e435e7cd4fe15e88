"""The two model stores on real parts: SQLite in a folder, Cassandra where a stack runs or can be started."""

import itertools
import os
from datetime import UTC, datetime

import pytest

from schemas.offline.manifest import DataWindow, Manifest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cassandra_hosts(tmp_path_factory):
    """The address of a running Cassandra: the environment's, or one started for this session."""
    if address := os.environ.get("FRESHET_CASSANDRA"):
        yield address
        return
    from deploy.local import stack
    from deploy.local.errors import StackError

    config = stack.StackConfig.with_free_ports(tmp_path_factory.mktemp("cassandra"))
    try:
        stack.start(config, ["cassandra"])
    except StackError as error:
        pytest.skip(f"no Cassandra: {error}")
    yield f"{config.host}:{config.cassandra_port}"
    stack.stop(config)


@pytest.fixture(scope="session")
def cassandra_keyspace(cassandra_hosts):
    from adapters.cassandra.models import create_keyspace

    keyspace = f"freshet_models_{os.getpid()}"
    create_keyspace(cassandra_hosts, keyspace)
    return keyspace


@pytest.fixture(params=["sqlite", pytest.param("cassandra", marks=pytest.mark.stack)])
def store(request, tmp_path):
    """An empty model store."""
    if request.param == "sqlite":
        from adapters.sqlite.models import SqliteModelStore

        opened = SqliteModelStore(tmp_path)
    else:
        opened = _emptied_cassandra(request)
    yield opened
    opened.close()


@pytest.fixture
def reader(request, store, tmp_path):
    """Reads the same store's lists asynchronously."""
    if request.node.callspec.params["store"] == "sqlite":
        from adapters.sqlite.models import SqliteListReader

        return SqliteListReader(tmp_path)
    from adapters.cassandra.models import CassandraListReader

    return CassandraListReader(
        request.getfixturevalue("cassandra_hosts"), request.getfixturevalue("cassandra_keyspace")
    )


@pytest.fixture
def make_manifest():
    """Manifests with versions in order of making."""

    def make(version=None, **changes):
        made = {
            "version": version or f"v{next(_numbers):06}",
            "created_at": datetime(2026, 1, 1, tzinfo=UTC),
            "algorithm": "als",
            "engine": "single",
            "parameters": {"factors": 4},
            "window": DataWindow(interactions=3, users=2, items=2),
            "offsets": {"log/events/0": 3},
            "values": ("als",),
            "lists": {"users": 2},
        }
        return Manifest(**(made | changes))

    return make


def _emptied_cassandra(request):
    from adapters.cassandra.models import CassandraModelStore
    from adapters.cassandra.ring import Ring

    hosts, keyspace = request.getfixturevalue("cassandra_hosts"), request.getfixturevalue("cassandra_keyspace")
    ring = Ring(hosts, keyspace)
    for table in ("versions", "model_values", "lists"):
        ring.run(f"TRUNCATE {table}")
    ring.close()
    return CassandraModelStore(hosts, keyspace)
