"""What every model store and list reader guarantee, embedded and Cassandra."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import PointerMoved, VersionUnknown
from schemas.offline.manifest import DataWindow, Manifest

VALUES = {"als": bytes(range(256)) * 10_000, "empty": b""}
LISTS = {"users": {"u:ann": b"1", "a:guest/7 鍵": b"2"}, "items": {"i": b"3"}}


@pytest.fixture
def store(open_models):
    return open_models.store()


@pytest.fixture
def manifest() -> Callable[[int], Manifest]:
    def manifest(number: int) -> Manifest:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        return Manifest(
            version=f"{at:%Y%m%dT%H%M%S}-{number}",
            created_at=at,
            algorithm="als",
            engine="single",
            parameters={"factors": 64},
            window=DataWindow(interactions=9, users=3, items=4),
            offsets={"log/events/0": 5},
            values=tuple(VALUES),
            lists={kind: len(keys) for kind, keys in LISTS.items()},
            metrics={"NDCG@10": 0.4},
        )

    return manifest


@pytest.fixture
def write(store, manifest):
    def write(number: int) -> str:
        written = manifest(number)
        store.write(written, VALUES, {kind: iter(keys.items()) for kind, keys in LISTS.items()})
        return written.version

    return write


def test_a_new_store_holds_no_version(store):
    assert (store.active(), store.versions()) == (None, [])
    for ask in (
        store.manifest,
        lambda version: store.value(version, "als"),
        lambda version: store.activate(version, None),
    ):
        with pytest.raises(VersionUnknown):
            ask("20260101T000000-0")


def test_a_version_is_read_as_it_was_written_also_by_a_store_opened_later(open_models, store, write, manifest):
    version = write(1)
    for each in (store, open_models.store()):
        assert each.manifest(version) == manifest(1)
        assert {name: each.value(version, name) for name in VALUES} == VALUES
        assert {k: {key: each.entry(version, k, key) for key in keys} for k, keys in LISTS.items()} == LISTS


def test_what_a_version_does_not_hold_is_nothing(store, write):
    version = write(1)
    assert store.entry(version, "users", "u:nobody") is None
    assert store.entry(version, "users", "i") is None
    with pytest.raises(VersionUnknown):
        store.value(version, "no such value")


def test_the_online_layer_reads_the_same_lists(open_models, write):
    version, reader = write(1), open_models.reader()
    for kind, keys in LISTS.items():
        assert {key: open_models.run(reader.read(version, kind, key)) for key in keys} == keys
    assert open_models.run(reader.read(version, "users", "u:nobody")) is None


def test_every_list_of_a_kind_is_given_once(store, manifest):
    many = {f"u{number}": b"%d" % number for number in range(2_500)}
    for number in (1, 2):
        store.write(manifest(number), VALUES, {"users": iter(many.items()), "items": iter(LISTS["items"].items())})
    given = list(store.entries(manifest(1).version, "users"))
    assert len(given) == len(many)
    assert dict(given) == many
    assert list(store.entries(manifest(2).version, "items")) == list(LISTS["items"].items())
    assert list(store.entries("unheard of", "users")) == []


def test_versions_are_listed_newest_first(store, write, manifest):
    for number in (2, 3, 1):
        write(number)
    assert store.versions() == [manifest(3), manifest(2), manifest(1)]


def test_the_pointer_moves_only_from_where_it_was_expected(store, write):
    first, second = write(1), write(2)
    store.activate(first, None)
    for expected in (None, second, "unheard of"):
        with pytest.raises(PointerMoved) as moved:
            store.activate(second, expected)
        assert moved.value.actual == first
    assert store.active() == first
    store.activate(second, first)
    store.activate(first, second)
    assert store.active() == first


def test_the_pointer_never_moves_to_what_was_not_written_whole(store, write, manifest):
    def dies():
        yield "u:ann", b"1"
        raise RuntimeError("the job died")

    first = write(1)
    store.activate(first, None)
    half = manifest(2)
    with pytest.raises(RuntimeError):
        store.write(half, VALUES, {"users": dies()})
    assert [each.version for each in store.versions()] == [first]
    with pytest.raises(VersionUnknown):
        store.activate(half.version, first)
    assert store.active() == first


def test_of_racing_publishers_one_wins(open_models, store, write):
    versions = [write(number) for number in range(4)]

    def publish(version: str) -> bool:
        try:
            open_models.store().activate(version, None)
        except PointerMoved:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(publish, versions))
    assert [version for version, did in zip(versions, won, strict=True) if did] == [store.active()]


def test_a_deleted_version_is_gone_and_its_neighbours_are_not(open_models, store, write):
    first, second = write(1), write(2)
    store.delete(first)
    assert [each.version for each in store.versions()] == [second]
    with pytest.raises(VersionUnknown):
        store.value(first, "als")
    assert store.entry(first, "users", "u:ann") is None
    assert store.entry(second, "users", "u:ann") == b"1"


def test_the_active_version_is_not_deleted(store, write):
    version = write(1)
    store.activate(version, None)
    with pytest.raises(PointerMoved):
        store.delete(version)
    assert store.value(version, "als") == VALUES["als"]


def test_a_version_is_held_ready_beside_the_active_one(open_models, store, write):
    first, second = write(1), write(2)
    store.activate(first, None)
    assert store.challenger() is None
    store.hold(second)
    assert (store.active(), open_models.store().challenger()) == (first, second)
    store.hold(first)
    assert store.challenger() == first
    store.hold(None)
    store.hold(None)
    assert (store.active(), store.challenger()) == (first, None)


def test_only_a_whole_version_is_held_ready(store, write):
    store.hold(write(1))
    with pytest.raises(VersionUnknown):
        store.hold("unheard of")
    assert store.challenger() is not None


def test_what_is_held_ready_is_not_deleted(store, write):
    version = write(1)
    store.hold(version)
    with pytest.raises(PointerMoved):
        store.delete(version)
    store.hold(None)
    store.delete(version)
    assert store.versions() == []


def test_what_two_publishers_wrote_is_never_mixed(open_models, store, manifest):
    """Each writes every list and value with its own mark while the other does; the pointer names one of them."""

    def publish(number: int) -> bool:
        own, written = open_models.store(), manifest(number)
        mark = b"%d" % number
        own.write(written, dict.fromkeys(VALUES, mark), {"users": ((f"u{n}", mark) for n in range(200))})
        try:
            own.activate(written.version, None)
        except PointerMoved:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(publish, (1, 2)))
    assert sorted(won) == [False, True]
    active, mark = store.active(), b"%d" % (won.index(True) + 1)
    assert {store.value(active, name) for name in VALUES} == {mark}
    assert {store.entry(active, "users", f"u{n}") for n in range(200)} == {mark}
