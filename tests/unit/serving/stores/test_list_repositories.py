import asyncio
from time import perf_counter

import pytest

from models.structures.lists import ScoredList
from schemas.errors import ModelStoreUnavailable, VersionUnknown
from serving.stores.breaker import Breaker, ReadFailed, StoreGuard
from serving.stores.list_repositories import ListRepositories

SECONDS = 0.06


class Reader:
    """A ListReader that answers one thing, or fails as told."""

    def __init__(self, answer=None):
        self.answer, self.reads = answer, 0

    async def read(self, version, kind, key):
        self.reads += 1
        if self.answer == "hang":
            await asyncio.sleep(3_600)
        if isinstance(self.answer, Exception):
            raise self.answer
        return None if self.answer is None else ScoredList((self.answer,), (1.0,)).save()


@pytest.fixture
def repositories():
    def repositories(*readers):
        guarded = {
            f"lists {place}": (reader, StoreGuard(f"lists {place}", SECONDS, Breaker(2, 60.0, perf_counter)))
            for place, reader in enumerate(readers)
        }
        return ListRepositories(guarded, SECONDS)

    return repositories


async def found(repositories):
    answer = await repositories.read("v1", "users", "ann")
    return answer.item_ids[0] if answer else None


AWAY = ModelStoreUnavailable("away")
NOT_HERE = VersionUnknown("not exported yet")


async def test_the_first_that_has_the_list_answers(repositories):
    last = Reader("third")
    assert await found(repositories(Reader("first"), last)) == "first"
    assert last.reads == 0
    assert await found(repositories(Reader(None), Reader("second"), last)) == "second"


@pytest.mark.parametrize("trouble", [AWAY, OSError("no route"), NOT_HERE])
async def test_one_that_is_away_or_has_not_the_version_is_passed_over(repositories, trouble):
    assert await found(repositories(Reader(trouble), Reader("second"))) == "second"


async def test_one_that_hangs_leaves_the_next_its_time_and_is_then_left_alone(repositories):
    hanging = Reader("hang")
    chain = repositories(hanging, Reader("second"))
    assert [await found(chain) for _ in range(4)] == ["second"] * 4
    assert hanging.reads == 2


async def test_where_all_hang_it_takes_no_longer_than_the_deadline_and_is_down(repositories):
    chain, began = repositories(Reader("hang"), Reader("hang"), Reader("hang")), perf_counter()
    with pytest.raises(ReadFailed):
        await found(chain)
    assert perf_counter() - began < 5 * SECONDS


async def test_none_is_only_returned_after_every_repository_was_read(repositories):
    assert await found(repositories(Reader(None), Reader(NOT_HERE))) is None
    with pytest.raises(ReadFailed):
        await found(repositories(Reader(AWAY), Reader(None)))
    with pytest.raises(ReadFailed):
        await found(repositories(Reader(NOT_HERE), Reader(NOT_HERE)))


async def test_not_having_a_version_rests_nobody(repositories):
    late = Reader(NOT_HERE)
    chain = repositories(late, Reader("second"))
    for _ in range(3):
        await found(chain)
    late.answer = "first"
    assert await found(chain) == "first"


async def test_what_is_no_list_is_passed_over(repositories):
    class Broken(Reader):
        async def read(self, version, kind, key):
            return b"junk"

    assert await found(repositories(Broken(), Reader("second"))) == "second"
