"""What every reader of precomputed lists guarantees: of the model stores, and of versions exported as Parquet."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from models.structures.lists import ScoredList
from schemas.errors import VersionUnknown
from schemas.offline.manifest import DataWindow, Manifest

AT = datetime(2026, 1, 1, tzinfo=UTC)


def a_list(*item_ids: str) -> ScoredList:
    return ScoredList(item_ids, tuple(1.0 / place for place in range(1, len(item_ids) + 1)))


LISTS = {
    "users": {"ann": a_list("i1", "i2"), "guest/7 鍵": a_list("i 3", "é"), "empty": a_list()}
    | {f"u{number:05}": a_list(f"i{number}") for number in range(3_000)},
    "items": {"i1": a_list("i2")},
}


def a_manifest(version: str) -> Manifest:
    return Manifest(
        version=version,
        created_at=AT,
        algorithm="als",
        engine="single",
        parameters={},
        window=DataWindow(interactions=9, users=3, items=4),
        offsets={},
        values=("als",),
        lists={kind: len(of_kind) for kind, of_kind in LISTS.items()},
    )


def read(opened, reader, *asked) -> ScoredList | None:
    data = opened.run(reader.read(*asked))
    return None if data is None else ScoredList.load(data)


@pytest.fixture
def version(open_lists):
    open_lists.write(a_manifest("v1"), {"als": b"value"}, LISTS)
    return "v1"


def test_lists_are_read_as_they_were_written(open_lists, version):
    reader = open_lists.reader()
    asked = {kind: {key: of_kind[key] for key in list(of_kind)[::500]} for kind, of_kind in LISTS.items()}
    for kind, of_kind in asked.items():
        assert {key: read(open_lists, reader, version, kind, key) for key in of_kind} == of_kind


@pytest.mark.parametrize("key", ["nobody", "", "zzz", "0", "i1"])
def test_a_key_without_a_list_has_none(open_lists, version, key):
    assert read(open_lists, open_lists.reader(), version, "users", key) is None


def test_a_version_that_is_not_there_gives_nothing_or_says_so(open_lists, version):
    with suppress(VersionUnknown):
        assert read(open_lists, open_lists.reader(), "v2", "users", "ann") is None


def test_a_version_written_later_is_found(open_lists, version):
    reader = open_lists.reader()
    assert read(open_lists, reader, version, "users", "ann") == LISTS["users"]["ann"]
    changed = a_list("another")
    open_lists.write(a_manifest("v2"), {"als": b""}, {"users": {"ann": changed}, "items": {}})
    assert read(open_lists, reader, "v2", "users", "ann") == changed
    assert read(open_lists, reader, version, "users", "ann") == LISTS["users"]["ann"]


def test_many_read_at_once(open_lists, version):
    reader, keys = open_lists.reader(), [f"u{number:05}" for number in range(0, 3_000, 60)]

    async def all_at_once():
        return await asyncio.gather(*(reader.read(version, "users", key) for key in keys))

    found = [ScoredList.load(data) for data in open_lists.run(all_at_once())]
    assert found == [LISTS["users"][key] for key in keys]
