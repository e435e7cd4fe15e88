from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults, UserRow
from ingest.import_pipeline.filtered import Filtered
from ingest.import_pipeline.k_core import Filter, parse_filter, select_k_core
from ingest.importers.recognise import recognise
from schemas.errors import ConfigurationInvalid

PAIRS = st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=60)


def by_hand(pairs, k):
    """The k-core, one person or item taken away at a time."""
    pairs = set(pairs)
    while True:
        by_user, by_item = defaultdict(set), defaultdict(set)
        for user, item in pairs:
            by_user[user].add(item)
            by_item[item].add(user)
        weak = next((user for user, items in by_user.items() if len(items) < k), None)
        if weak is not None:
            pairs = {pair for pair in pairs if pair[0] != weak}
            continue
        weak = next((item for item, users in by_item.items() if len(users) < k), None)
        if weak is None:
            return set(by_user), set(by_item)
        pairs = {pair for pair in pairs if pair[1] != weak}


def found(pairs, **rules):
    columns = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2)
    users, items = select_k_core(columns[:, 0], columns[:, 1], Filter(**rules), 9, 9)
    return set(np.flatnonzero(users).tolist()), set(np.flatnonzero(items).tolist())


@given(PAIRS, st.integers(1, 5))
def test_the_k_core_is_what_is_left_when_the_weakest_go_one_by_one(pairs, k):
    assert found(pairs, k_core=k) == by_hand(pairs, k)


@given(PAIRS, st.integers(1, 9))
def test_the_most_popular_items_are_so_many_and_none_outside_has_more_people(pairs, count):
    items = [item for _, item in pairs]
    _, best = found(pairs, top_items=count)
    assert len(best) == min(count, len(set(items)))
    assert all(items.count(one) >= items.count(other) for one in best for other in set(items) - best)


@given(PAIRS, st.integers(1, 5), st.integers(1, 5))
def test_minimums_ask_once_first_of_items_then_of_people(pairs, of_item, of_user):
    left = {pair for pair in pairs if sum(other[1] == pair[1] for other in pairs) >= of_item}
    left = {pair for pair in left if sum(other[0] == pair[0] for other in left) >= of_user}
    assert found(pairs, min_item=of_item, min_user=of_user) == ({u for u, _ in left}, {i for _, i in left})


class Small:
    """A shop where only ann and bo had both of the same two items."""

    dataset, types, weights, paths = "small", frozenset(), {}, ()

    def items(self, _):
        return ({"item_id": name} for name in ("x", "y", "z", "unmet"))

    def users(self, _):
        return (UserRow(name, {}) for name in ("ann", "bo", "cy"))

    def events(self, _):
        for user in ("ann", "bo"):
            for item in ("x", "y"):
                yield {"type": "view", "user_id": user, "item_id": item}
        yield {"type": "view", "user_id": "cy", "item_id": "z"}
        yield {"type": "view", "user_id": "cy", "item_id": "z"}
        yield {"type": "view", "anonymous_id": "ann", "item_id": "x"}
        yield {"type": "search", "user_id": "bo", "query": "y"}
        yield {"type": "search", "user_id": "cy", "query": "z"}
        yield {"type": "impression", "user_id": "bo", "impression": ["z", "x"]}
        yield {"type": "impression", "user_id": "bo", "impression": ["z"]}


def test_what_a_filter_leaves_out_is_gone_from_items_users_and_events():
    importer = Filtered(Small(), parse_filter("k-core=2"))
    assert [item["item_id"] for item in importer.items(RowFaults())] == ["x", "y"]
    assert [user.user_id for user in importer.users(RowFaults())] == ["ann", "bo"]
    events = list(importer.events(RowFaults()))
    assert [(event["user_id"], event["type"]) for event in events] == [
        *(("ann", "view"), ("ann", "view"), ("bo", "view"), ("bo", "view")),
        *(("bo", "search"), ("bo", "impression")),
    ]
    assert events[-1]["impression"] == ["x"]
    assert importer.dataset == "small-k-core-2"


def test_a_filter_that_leaves_nothing_says_so():
    with pytest.raises(ConfigurationInvalid, match="--filter k-core=9 leaves nothing of small: ask for less"):
        next(Filtered(Small(), parse_filter("k-core=9")).items(RowFaults()))


@pytest.mark.parametrize("text", ["core=5", "k-core", "k-core=-1", "k-core=five"])
def test_a_filter_of_another_form_is_explained(text):
    with pytest.raises(ConfigurationInvalid, match="top-items=N, min-item=N, min-user=N, k-core=N"):
        parse_filter(text)


def test_a_filter_is_read_as_it_is_written():
    assert str(parse_filter(" k-core=5, top-items=100 ")) == "top-items=100,k-core=5"


def test_the_5_core_of_movielens_is_one(datasets):
    importer = Filtered(recognise(datasets / "ml-latest-small"), parse_filter("k-core=5"))
    people, movies = defaultdict(set), defaultdict(set)
    for event in importer.events(RowFaults()):
        people[event["user_id"]].add(event["item_id"])
        movies[event["item_id"]].add(event["user_id"])
    assert (len(people), len(movies)) == (610, 3_650)
    assert min(map(len, people.values())) >= 5
    assert min(map(len, movies.values())) == 5
