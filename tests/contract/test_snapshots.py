"""What the store of snapshots guarantees, in a folder and behind fsspec."""

from __future__ import annotations

import msgspec
import pytest

from adapters.parquet.snapshots import ParquetSnapshots
from schemas.errors import ConfigurationInvalid, SnapshotUnusable
from schemas.snapshots import SNAPSHOT_FORMAT, Snapshot

ROWS = [("u:ключ", b"\x00\xff"), ("a", b"old"), ("b", b"gone"), ("a", b"new"), ("b", None), ("empty", b"")]


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path, site):
    return str(tmp_path / "snapshots") if request.param == "folder" else f"memory://{site}"


@pytest.fixture
def store(place):
    return ParquetSnapshots(place, "shop")


def taken(store, at: float, rows=ROWS, *, log_id="log", partition=3) -> Snapshot:
    snapshot_id = f"{int(at * 1_000):015d}-test"
    file = store.write_values("items", partition, snapshot_id, "items", iter(rows), lambda: 41)
    return Snapshot(
        snapshot_id=snapshot_id,
        topic="items",
        partition=partition,
        log_id=log_id,
        created_at=at,
        code_version="1",
        files={"items": file},
    )


def published(store, at: float, **options) -> Snapshot:
    snapshot = taken(store, at, **options)
    store.publish(snapshot)
    return snapshot


def read(store, snapshot) -> dict:
    values: dict = {}
    for batch in store.values(snapshot, "items"):
        values |= batch
    return values


def test_a_published_snapshot_is_read_as_it_was_written_and_the_last_row_of_a_key_counts(store, place):
    snapshot = published(store, 1_000.0)
    other = ParquetSnapshots(place, "shop")
    assert other.snapshots("items", 3) == [snapshot]
    assert read(other, snapshot) == {"u:ключ": b"\x00\xff", "a": b"new", "b": None, "empty": b""}
    assert (snapshot.fence("items").offset, snapshot.files["items"].rows) == (41, 6)


def test_many_rows_come_in_batches_of_bounded_size(store):
    rows = [(f"k{n}", b"x" * 1_000) for n in range(12_000)]
    snapshot = published(store, 1_000.0, rows=rows)
    batches = list(store.values(snapshot, "items"))
    assert max(map(len, batches)) <= 5_000
    assert [pair for batch in batches for pair in batch.items()] == rows


def test_an_unpublished_snapshot_does_not_exist_and_is_removed_once_it_is_old(store):
    taken(store, 1_000.0)
    kept = published(store, 1_000.5)
    assert store.snapshots("items", 3) == [kept]
    store.delete_unpublished("items", 3, 999.0)
    store.delete_unpublished("items", 3, 2_000.0)
    assert store.snapshots("items", 3) == [kept]


def test_the_newest_comes_first_and_a_deleted_one_is_gone(store):
    first, second = published(store, 999.0), published(store, 1_000_000.0)
    published(store, 5.0, partition=4)
    assert store.snapshots("items", 3) == [second, first]
    store.delete("items", 3, second.snapshot_id)
    store.delete("items", 3, second.snapshot_id)
    assert store.snapshots("items", 3) == [first]
    assert store.snapshots("events", 3) == []


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: data[:50] + b"?" + data[51:], lambda _: b""])
def test_a_damaged_file_is_refused_before_its_first_row(store, damage):
    snapshot = published(store, 1_000.0)
    path = f"{store._folder('items', 3, snapshot.snapshot_id)}/items.parquet"
    store._files.pipe_file(path, damage(store._files.cat_file(path)))
    with pytest.raises(SnapshotUnusable, match="digest"):
        next(store.values(snapshot, "items"))
    store._files.rm_file(path)
    with pytest.raises(SnapshotUnusable, match="lacks"):
        next(store.values(snapshot, "items"))


def test_a_damaged_manifest_is_passed_over_and_one_of_a_later_release_is_refused(store):
    first, second = published(store, 1_000.0), published(store, 2_000.0)
    path = f"{store._folder('items', 3, second.snapshot_id)}/manifest.json"
    store._files.pipe_file(path, store._files.cat_file(path)[:40])
    assert store.snapshots("items", 3) == [first]
    later = msgspec.structs.replace(first, format=SNAPSHOT_FORMAT + 1)
    with pytest.raises(SnapshotUnusable, match="later release"):
        next(store.values(later, "items"))


def test_an_address_that_nothing_opens_is_named():
    with pytest.raises(ConfigurationInvalid, match="nowhere"):
        ParquetSnapshots("nowhere://x", "shop")
