"""A version exported as Parquet is there whole or not at all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import duckdb
import pytest

from adapters.parquet.models import ParquetListReader, ParquetVersions
from schemas.errors import ConfigurationInvalid, ExportFailed, ModelStoreUnavailable, VersionUnknown
from schemas.offline.manifest import DataWindow, Manifest
from schemas.ports import ListRow

ROWS = [ListRow("ann", ("i1", "i2"), (0.5, 0.25)), ListRow("bob", ("i2",), (1.0,))]
MANIFEST = Manifest(
    version="v1", created_at=datetime(2026, 1, 1, tzinfo=UTC), algorithm="als", engine="single", parameters={},
    window=DataWindow(interactions=9, users=2, items=2), offsets={}, values=("als",), lists={"users": 2},
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "exports"


@pytest.fixture
def target(folder):
    return ParquetVersions(str(folder))


@pytest.fixture
def write(target):
    def write(rows=ROWS):
        target.write(MANIFEST, iter([("als", b"factors")]), {"users": iter(rows)})

    return write


def read(folder, key="ann", version="v1"):
    async def reading():
        reader = ParquetListReader(str(folder), lambda item_ids, scores: repr((item_ids, scores)).encode())
        try:
            return await reader.read(version, "users", key)
        finally:
            await reader.close()

    return asyncio.run(reading())


def dies():
    yield ROWS[0]
    raise ConnectionResetError("the network went away")


def test_lists_lie_open_for_whoever_reads_parquet(folder, write):
    write()
    found = duckdb.sql(f"SELECT key, item_ids, scores FROM '{folder}/v1/lists/users.parquet' ORDER BY key").fetchall()
    assert found == [("ann", ["i1", "i2"], [0.5, 0.25]), ("bob", ["i2"], [1.0])]
    assert (folder / "v1" / "values" / "als").read_bytes() == b"factors"


def test_an_export_that_dies_half_way_is_no_version_and_can_be_written_again(folder, target, write):
    with pytest.raises(ExportFailed, match="the network went away"):
        write(dies())
    with pytest.raises(VersionUnknown):
        read(folder)
    write()
    assert read(folder) == b"(['i1', 'i2'], [0.5, 0.25])"


def test_a_manifest_beside_a_file_that_is_cut_off_or_gone_is_no_version(folder, write):
    write()
    lists = folder / "v1" / "lists" / "users.parquet"
    lists.write_bytes(lists.read_bytes()[:-4])
    with pytest.raises(VersionUnknown):
        read(folder)
    lists.unlink()
    with pytest.raises(VersionUnknown):
        read(folder)
    write()
    assert read(folder) is not None


def test_a_version_that_is_there_whole_is_left_alone(folder, write):
    write()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write([])
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_nothing_unfinished_is_left_beside_a_version(folder, write):
    write()
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"v1/manifest.json", "v1/lists/users.parquet", "v1/values/als"}


def test_a_removed_version_is_gone_and_one_that_is_not_there_is_no_error(folder, target, write):
    write()
    target.delete("v1")
    target.delete("v1")
    assert list(folder.rglob("*.parquet")) == []
    with pytest.raises(VersionUnknown):
        read(folder)


def test_any_place_of_fsspecs_will_do(request):
    url = f"memory://{request.node.name}"
    ParquetVersions(url).write(MANIFEST, [("als", b"")], {"users": ROWS})
    assert read(url, "bob") == b"(['i2'], [1.0])"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(ExportFailed, match="a file"):
        ParquetVersions(str(tmp_path / "a file")).write(MANIFEST, [("als", b"")], {"users": ROWS})


def test_lists_that_are_no_parquet_are_unavailable(folder, write):
    write()
    lists = folder / "v1" / "lists" / "users.parquet"
    lists.write_bytes(b"x" * lists.stat().st_size)
    with pytest.raises(ModelStoreUnavailable, match="exports cannot be used"):
        read(folder)


def test_an_address_that_nothing_reaches_is_refused_with_the_reason():
    with pytest.raises(ConfigurationInvalid, match="'nowhere://x' is no place for model versions"):
        ParquetVersions("nowhere://x")


def test_a_version_that_was_not_there_is_found_once_it_is(folder, write, monkeypatch):
    monkeypatch.setattr("adapters.parquet.models._RETRY_SECONDS", 0.0)

    async def reading():
        reader = ParquetListReader(str(folder), lambda item_ids, _: str(item_ids).encode())
        with pytest.raises(VersionUnknown):
            await reader.read("v1", "users", "ann")
        write()
        return await reader.read("v1", "users", "ann")

    assert asyncio.run(reading()) == b"['i1', 'i2']"
