"""What every store of nonces guarantees, embedded and Redis: a name counts once on the whole site, for its time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

LONG = 600.0


def test_a_name_counts_once_for_all_processes(open_nonces):
    one, other = open_nonces(), open_nonces()
    assert one.add("a", LONG)
    assert not other.add("a", LONG)
    assert not one.add("a", LONG)
    assert other.add("b", LONG)


def test_of_several_at_once_one_is_first(open_nonces):
    stores = [open_nonces() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for name in map(str, range(5)):
            added = list(pool.map(lambda store, name=name: store.add(name, LONG), stores * 3))
            assert added.count(True) == 1


def test_a_name_is_forgotten_after_its_time(open_nonces):
    store = open_nonces()
    assert store.add("short", 0.05)
    assert store.add("long", LONG)
    deadline = time.monotonic() + 30
    while not store.add("short", LONG):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not store.add("long", LONG)


def test_a_store_that_is_opened_later_still_knows(open_nonces):
    first = open_nonces()
    assert first.add("a", LONG)
    first.close()
    assert not open_nonces().add("a", LONG)
