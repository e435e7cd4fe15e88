"""What the contract suite does not ask of a model store: races, crashes half-way, large values, odd keys."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from schemas.errors import PointerMoved, VersionExists, VersionUnknown

KEYS = ("u:1", "a:x/y z", "数", "e\N{COMBINING ACUTE ACCENT}", "'; DROP TABLE lists; --")


def entries(keys=KEYS):
    return ((key, f"list of {key}".encode()) for key in keys)


def fail_after_one():
    yield "u:1", b"one"
    raise RuntimeError("the process died")


def test_a_version_is_read_back_as_it_was_written(store, make_manifest):
    manifest = make_manifest()
    store.write(manifest, {"als": b"factors", "empty": b""}, {"users": entries(), "items": entries(["i"])})
    assert store.manifest(manifest.version) == manifest
    assert store.value(manifest.version, "als") == b"factors"
    assert store.value(manifest.version, "empty") == b""
    assert [store.entry(manifest.version, "users", key) for key in KEYS] == [value for _, value in entries()]
    assert store.entry(manifest.version, "items", "u:1") is None


def test_a_value_of_many_chunks_comes_back_whole(store, make_manifest):
    manifest = make_manifest()
    value = bytes(range(256)) * 12_345
    store.write(manifest, {"als": value}, {})
    assert store.value(manifest.version, "als") == value


async def test_the_online_layer_reads_lists_by_key(store, reader, make_manifest):
    manifest = make_manifest()
    store.write(manifest, {}, {"users": entries()})
    assert [await reader.read(manifest.version, "users", key) for key in KEYS] == [value for _, value in entries()]
    assert await reader.read(manifest.version, "users", "nobody") is None
    assert await reader.read("no such version", "users", "u:1") is None
    await reader.close()


def test_a_write_that_dies_half_way_leaves_no_version(store, make_manifest):
    manifest = make_manifest()
    with pytest.raises(RuntimeError, match="died"):
        store.write(manifest, {"als": b"factors"}, {"users": fail_after_one()})
    assert store.versions() == []
    with pytest.raises(VersionUnknown):
        store.manifest(manifest.version)
    with pytest.raises(VersionUnknown):
        store.value(manifest.version, "als")
    with pytest.raises(VersionUnknown):
        store.activate(manifest.version, None)


def test_what_died_half_way_can_be_written_again(store, make_manifest):
    manifest = make_manifest()
    with pytest.raises(RuntimeError):
        store.write(manifest, {"als": b"old"}, {"users": fail_after_one()})
    store.write(manifest, {"als": b"new"}, {"users": entries()})
    assert store.value(manifest.version, "als") == b"new"


def test_what_died_half_way_is_cleared_a_day_later(store, make_manifest):
    died = make_manifest()
    with pytest.raises(RuntimeError):
        store.write(died, {"als": b"factors"}, {"users": fail_after_one()})
    later = make_manifest(created_at=datetime(2026, 1, 3, tzinfo=UTC))
    store.write(later, {"als": b"factors"}, {})
    assert store.entry(died.version, "users", "u:1") is None
    assert [manifest.version for manifest in store.versions()] == [later.version]


def test_a_version_never_changes(store, make_manifest):
    manifest = make_manifest()
    store.write(manifest, {"als": b"first"}, {})
    with pytest.raises(VersionExists):
        store.write(manifest, {"als": b"second"}, {})
    assert store.value(manifest.version, "als") == b"first"


def test_versions_are_listed_newest_first(store, make_manifest):
    made = [make_manifest() for _ in range(3)]
    for manifest in (made[1], made[0], made[2]):
        store.write(manifest, {}, {})
    assert store.versions() == made[::-1]


def test_of_many_who_move_the_pointer_at_once_one_wins(store, make_manifest):
    made = [make_manifest() for _ in range(4)]
    for manifest in made:
        store.write(manifest, {}, {})
    gate = threading.Barrier(4)

    def race(manifest):
        gate.wait()
        try:
            store.activate(manifest.version, None)
        except PointerMoved as error:
            return error.actual
        return None

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(race, made))
    assert seen.count(None) == 1
    winner = made[seen.index(None)].version
    assert store.active() == winner
    assert set(seen) == {None, winner}


def test_a_removed_version_is_gone_with_all_it_held(store, make_manifest):
    kept, removed = make_manifest(), make_manifest()
    for manifest in (kept, removed):
        store.write(manifest, {"als": b"factors"}, {"users": entries()})
    store.activate(kept.version, None)
    store.delete(removed.version)
    assert store.versions() == [kept]
    assert store.entry(removed.version, "users", "u:1") is None
    assert store.entry(kept.version, "users", "u:1") == b"list of u:1"
    store.delete(removed.version)


def test_the_active_version_is_never_removed(store, make_manifest):
    manifest = make_manifest()
    store.write(manifest, {"als": b"factors"}, {})
    store.activate(manifest.version, None)
    with pytest.raises(PointerMoved):
        store.delete(manifest.version)
    assert store.value(manifest.version, "als") == b"factors"
