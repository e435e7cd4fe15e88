"""One pass through the values of all users finds the links for all erasures that wait."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.privacy.link_search import PAGE, Link, LinkRequest, LinkSearch
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.errors import StoreUnavailable
from schemas.keys import Signal, anonymous_key, user_key
from schemas.log.fence import Fence
from signals import user_codec, users

PARTITIONS = 2
USERS = [f"user{number}" for number in range(12)]
GUESTS = [f"guest{number}" for number in range(6)]


class Store(InMemorySignalStore):
    """Counts how many times a partition was read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.scans, self.away = 0, False

    def put(self, key: str, links: tuple[str, ...] = (), partition: int = 0) -> None:
        self.put_bytes(key, user_codec.encode(msgspec.structs.replace(users.EMPTY, links=links)), partition)

    def put_bytes(self, key: str, data: bytes, partition: int = 0) -> None:
        fence = self.fence(partition, Signal.USERS)
        self.commit(partition, Signal.USERS, fence, Fence("log", fence.offset + 1 if fence else 0), {key: data})

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Any:
        self.scans += 1
        if self.away:
            raise StoreUnavailable("away")
        return super().scan(partition, signal, page)


def request(*guests: str, erasure: str = "e", end: int = 1) -> LinkRequest:
    return LinkRequest(erasure, frozenset(guests), (end,) * PARTITIONS)


def finish(search: LinkSearch) -> None:
    while search.step():
        pass


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def search(store) -> LinkSearch:
    return LinkSearch(store, lambda: PARTITIONS)


@given(
    st.dictionaries(st.sampled_from(USERS), st.lists(st.sampled_from(GUESTS), unique=True)),
    st.lists(st.sets(st.sampled_from(GUESTS)), max_size=4),
)
def test_each_erasure_gets_the_links_to_its_guests_and_no_others(values, erasures):
    store = Store()
    for number, (user, links) in enumerate(values.items()):
        store.put(user_key(user), tuple(links), number % PARTITIONS)
        store.put(anonymous_key(user), tuple(links), number % PARTITIONS)
    search = LinkSearch(store, lambda: PARTITIONS)
    requests = [request(*guests, erasure=str(number)) for number, guests in enumerate(erasures)]
    assert [search.find(each) for each in requests] == [None] * len(requests)
    finish(search)
    for each in requests:
        expected = {Link(user, guest) for user, links in values.items() for guest in links if guest in each.guests}
        found = search.find(each)
        assert (set(found), len(found)) == (expected, len(expected))


def test_erasures_that_wait_share_one_pass(store, search):
    waiting = [request(guest, erasure=guest) for guest in GUESTS]
    for _ in range(2):
        for each in waiting:
            assert search.find(each) is None
    finish(search)
    assert [search.find(each) for each in waiting] == [[]] * len(waiting)
    assert not search.step()
    assert store.scans == PARTITIONS


def test_a_pass_that_began_before_does_not_count(store):
    for number in range(2 * PAGE):
        store.put(user_key(f"someone{number}"))
    search = LinkSearch(store, lambda: PARTITIONS, iter(range(99)).__next__)  # each step has time for one page
    search.find(request("guest1", erasure="first"))
    assert search.step()
    assert search.is_reading
    store.put(user_key("late"), ("guest1",))
    assert search.find(request("guest1", erasure="second")) is None
    while search.find(request("guest1", erasure="second")) is None:
        assert search.step()
    assert store.scans == 2 * PARTITIONS


def test_an_erasure_whose_events_end_later_waits_for_another_pass(search, store):
    search.find(request("guest1"))
    finish(search)
    store.put(user_key("user1"), ("guest1",))
    assert search.find(request("guest1", end=2)) is None
    finish(search)
    assert search.find(request("guest1", end=2)) == [Link("user1", "guest1")]


def test_a_step_reads_no_more_than_it_has_time_for(store):
    for number in range(5 * PAGE):
        store.put(user_key(f"user{number}"))
    search, steps = LinkSearch(store, lambda: PARTITIONS, iter(range(99)).__next__), 0
    search.find(request("guest1"))
    while search.step():
        steps += 1
    assert steps == 6


def test_a_store_that_is_away_is_named_to_each_erasure_and_asked_again(store, search):
    first, second = request("guest1", erasure="first"), request("guest2", erasure="second")
    store.away = True
    for each in (first, second):
        search.find(each)
    finish(search)
    for each in (first, second):
        with pytest.raises(StoreUnavailable, match="away"):
            search.find(each)
    store.away = False
    assert search.find(first) is None
    finish(search)
    assert search.find(first) == []


def test_a_value_that_cannot_be_read_makes_an_erasure_wait_and_names_nobody(store, search):
    store.put_bytes(user_key("user1"), b"\xc1 damaged")
    search.find(request("guest1"))
    finish(search)
    with pytest.raises(StoreUnavailable, match="a value of partition 0 cannot be read") as raised:
        search.find(request("guest1"))
    assert "user1" not in str(raised.value)
    store.put(user_key("user1"), ("guest1",))
    search.find(request("guest1"))
    finish(search)
    assert search.find(request("guest1")) == [Link("user1", "guest1")]
