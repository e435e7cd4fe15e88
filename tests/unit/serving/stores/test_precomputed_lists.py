"""Users' precomputed lists in memory: few enough, and only those of versions that are served."""

from __future__ import annotations

import pytest

from models.structures.lists import ScoredList
from serving.stores.precomputed_lists import PrecomputedLists

LENGTH = 50


class Repositories:
    """Gives every user but strangers a list, and counts the reads."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, version, kind, key):
        self.reads += 1
        ids = tuple(f"item-{number}" for number in range(LENGTH))
        return None if key.startswith("stranger") else ScoredList(ids, (1.0,) * LENGTH)


@pytest.fixture
def lists(world):
    return lambda **bounds: PrecomputedLists(Repositories(), world.catalogue, **({"limit": 10_000} | bounds))


async def test_lists_stay_within_their_bytes_and_those_used_last_remain(lists):
    kept = lists(size=20_000)
    for number in range(200):
        await kept.read("v1", f"user-{number}")
    assert kept.size <= 20_000
    assert kept.cached("v1", "user-0") == (False, None)
    cached, positions = kept.cached("v1", "user-199")
    assert cached
    assert positions.items.size == LENGTH


async def test_a_stranger_without_a_list_costs_bytes_too(lists):
    kept = lists(size=20_000)
    for number in range(200):
        assert await kept.read("v1", f"stranger-{number}") is None
    assert 0 < kept.size <= 20_000
    assert kept.cached("v1", "stranger-199") == (True, None)


async def test_the_lists_of_versions_that_are_not_served_any_more_go(lists):
    kept = lists()
    for version in ("v1", "v2", "v3"):
        await kept.read(version, "ann")
    kept.keep_versions(("v2", "v3"))
    assert [kept.cached(version, "ann")[0] for version in ("v1", "v2", "v3")] == [False, True, True]
