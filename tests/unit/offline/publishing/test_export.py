from datetime import UTC, datetime

import pytest
import stamina

from adapters.parquet.models import ParquetListReader, ParquetVersions
from models.structures.lists import ITEMS, USERS, ScoredList
from offline.metrics import EXPORTS
from offline.publishing.export import TRIES, Exports
from schemas.errors import ExportFailed
from schemas.offline.manifest import DataWindow, Manifest

A_LIST = ScoredList(("i1", "i2"), (0.5, 0.25))


class Target:
    """A VersionTarget that fails a given number of times."""

    name = "the other place"

    def __init__(self, failures=0):
        self.failures, self.tries, self.written, self.gone = failures, 0, {}, []

    def write(self, manifest, values, lists):
        self.tries += 1
        if self.tries <= self.failures:
            raise ExportFailed("the disk is full")
        read = {kind: [(row.key, tuple(row.item_ids)) for row in rows] for kind, rows in lists.items()}
        self.written[manifest.version] = manifest, dict(values), read

    def delete(self, version):
        if self.failures:
            raise ExportFailed("the disk is full")
        self.gone.append(version)


@pytest.fixture(autouse=True)
def at_once():
    with stamina.set_testing(True, attempts=TRIES):
        yield


@pytest.fixture
def write(store):
    def write(version="v1", promised=1):
        manifest = Manifest(
            version=version, created_at=datetime(2026, 1, 1, tzinfo=UTC), algorithm="als", engine="single",
            parameters={}, offsets={}, window=DataWindow(interactions=1, users=1, items=2), values=("als",),
            lists={USERS: promised, ITEMS: 0},
        )  # fmt: skip
        store.write(manifest, {"als": b"factors"}, {USERS: iter([("ann", A_LIST.save())])})
        return manifest

    return write


def test_a_version_is_copied_with_its_values_lists_and_manifest(store, write):
    manifest, target = write(), Target()
    assert Exports([target]).export(store, "v1") == []
    assert target.written == {"v1": (manifest, {"als": b"factors"}, {USERS: [("ann", ("i1", "i2"))], ITEMS: []})}


def test_a_target_that_fails_is_tried_again(store, write):
    write()
    target, done = Target(failures=TRIES - 1), EXPORTS.labels("done")._value.get()
    assert Exports([target]).export(store, "v1") == []
    assert EXPORTS.labels("done")._value.get() == done + 1


def test_a_target_that_keeps_failing_is_named_and_counted_and_the_others_are_written(store, write):
    write()
    failing, other, failed = Target(failures=100), Target(), EXPORTS.labels("failed")._value.get()
    [said] = Exports([failing, other]).export(store, "v1")
    assert said == "v1 is not exported to the other place: the disk is full"
    assert failing.tries == TRIES
    assert "v1" in other.written
    assert EXPORTS.labels("failed")._value.get() == failed + 1


def test_a_version_whose_lists_are_not_all_there_is_not_exported(store, write, tmp_path):
    write(promised=2)
    [said] = Exports([ParquetVersions(str(tmp_path / "out"))]).export(store, "v1")
    assert "the store gave 1 of 2 lists of users" in said
    assert list(tmp_path.rglob("manifest.json")) == []


def test_what_expired_from_the_store_is_removed_from_the_targets_and_nothing_else_is(store, write):
    write("v1"), write("v2")
    target, full = Target(), Target(failures=1)
    exports = Exports([full, target])
    before = exports.stored(store)
    store.delete("v1")
    write("v3")
    exports.forget(store, before)
    assert target.gone == ["v1"]


async def test_what_was_exported_is_read_as_the_store_has_it(store, write, tmp_path):
    write()
    assert Exports([ParquetVersions(str(tmp_path / "out"))]).export(store, "v1") == []
    reader = ParquetListReader(str(tmp_path / "out"), lambda ids, scores: ScoredList(tuple(ids), tuple(scores)).save())
    assert await reader.read("v1", USERS, "ann") == A_LIST.save() == store.entry("v1", USERS, "ann")
    await reader.close()
