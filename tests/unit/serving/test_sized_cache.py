from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.sized_cache import SizedCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40))), st.integers(0, 100), st.none() | st.integers(0, 5))
def test_it_never_holds_more_than_its_bounds_and_knows_its_size(puts, limit, entries):
    cache, sizes = SizedCache[int, int](limit, entries), {}
    for key, size in puts:
        cache.put(key, size, size)
        sizes[key] = size
        held = {each: cache.get(each) for each in sizes if each in cache}
        assert cache.size == sum(held.values()) <= limit
        assert len(cache) == len(held) <= (len(sizes) if entries is None else entries)
        assert all(sizes[each] == value for each, value in held.items())
        assert (key in cache) == (size <= limit and entries != 0)


def test_the_least_recently_used_go_first():
    cache = SizedCache[str, str](limit=3)
    for key in "abc":
        cache.put(key, key, 1)
    cache.get("a")
    cache.put("d", "d", 2)
    assert [key for key in "abcd" if key in cache] == ["a", "d"]


def test_what_has_ended_goes():
    cache = SizedCache[str, int](limit=9)
    cache.put("a", 1, 4)
    cache.put("b", 2, 5)
    cache.remove_where(lambda _, value: value == 1)
    assert (cache.get("a"), cache.get("b"), cache.size) == (None, 2, 5)
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)
