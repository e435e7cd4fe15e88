"""A store that cannot be used says so by name, and does so in time."""

import time

import pytest

from adapters.sqlite.models import SqliteListReader, SqliteModelStore
from schemas.errors import ConfigurationInvalid, ModelStoreUnavailable, ServerMissing

NO_SERVER = "127.0.0.1:1"


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "models.sqlite").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(ModelStoreUnavailable, match=r"models\.sqlite"):
        SqliteModelStore(tmp_path)


async def test_a_file_spoilt_later_is_unavailable(tmp_path):
    reader = SqliteListReader(tmp_path)
    await reader.close()
    with pytest.raises(ModelStoreUnavailable):
        await reader.read("v", "users", "u:1")


async def test_a_missing_cassandra_is_unavailable_and_keeps_nobody_waiting():
    cassandra = pytest.importorskip("adapters.cassandra.models")
    begun = time.monotonic()
    with pytest.raises(ModelStoreUnavailable, match=NO_SERVER):
        await cassandra.CassandraListReader(NO_SERVER, "freshet").read("v", "users", "u:1")
    with pytest.raises(ModelStoreUnavailable, match=NO_SERVER):
        cassandra.CassandraModelStore(NO_SERVER, "freshet").active()
    assert time.monotonic() - begun < 5


def test_making_a_keyspace_without_a_server_says_what_to_do():
    cassandra = pytest.importorskip("adapters.cassandra.models")
    with pytest.raises(ServerMissing, match="make stack"):
        cassandra.create_keyspace(NO_SERVER, "freshet")


def test_an_address_that_is_none_is_refused():
    cassandra = pytest.importorskip("adapters.cassandra.models")
    with pytest.raises(ConfigurationInvalid, match="looks like"):
        cassandra.create_keyspace("localhost:port", "freshet")
