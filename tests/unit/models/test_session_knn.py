from dataclasses import replace
from math import exp, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.session_knn import NumpyLoops, Query, Renumbered, SessionKnn, Voting, query_of, votes
from models.session_tail import SessionTail
from models.structures.recommender import Histories
from schemas.errors import ConfigurationInvalid, Undecodable
from serving.arrays import kernels

ITEMS = 12
VOTING = Voting(sample=5, neighbours=3, last=4, age=1.5, reach=2.0, before=0.5, same=0.25, lengths=0.5)

item_lists = st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=6)
sessions = st.lists(st.tuples(st.integers(0, 9), item_lists), max_size=14)
votings = st.builds(
    Voting,
    sample=st.integers(1, 8),
    neighbours=st.integers(1, 5),
    last=st.integers(1, 4),
    rarity=st.sampled_from([0.0, 1.0]),
)


def distinct(items):
    return list(dict.fromkeys(reversed(items)))[::-1]


def index_of(recorded, voting=VOTING):
    """``recorded``: (time, items) in the order of their times."""
    rows = [distinct(items) for _, items in recorded]
    indptr = np.cumsum([0, *map(len, rows)])
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    times = np.array([float(at) for at, _ in recorded])
    return SessionKnn.of(tuple(f"i{n:02}" for n in range(ITEMS)), indptr, items, times, voting)


def tail_of(recorded, capacity=100):
    tail = SessionTail(capacity)
    for number, (at, items) in enumerate(recorded):
        tail.put(bytes([number]), items, float(at))
    return tail


def share(place, shared, voting):
    if place == shared:
        return voting.same
    faded = exp(-(abs(place - shared) - 1) / voting.reach)
    return faded if place > shared else voting.before * faded


def naive(recorded, current, voting):
    """The definition, in loops: ``recorded`` in the order of their times."""
    query = distinct(current)[-voting.last :]
    rows = [(number, distinct(items)) for number, (_, items) in enumerate(recorded)]
    rarities = {item: log1p(len(rows) / max(1, sum(item in row for _, row in rows))) for item in query}
    weights = {item: exp(-n / voting.age) * rarities[item] ** voting.rarity for n, item in enumerate(reversed(query))}
    sharing = [(number, row) for number, row in rows if set(row) & set(query)][-voting.sample :]
    similar = [(sum(weights[item] for item in row if item in weights), number, row) for number, row in sharing]
    scores = {}
    for similarity, _, row in sorted(similar, key=lambda each: (-round(each[0], 9), -each[1]))[: voting.neighbours]:
        shared = row.index(next(item for item in reversed(query) if item in row))
        for place, item in enumerate(row):
            vote = similarity * len(row) ** -voting.lengths * share(place, shared, voting)
            scores[item] = scores.get(item, 0.0) + vote
    return {item: score for item, score in scores.items() if score > 0}


def asked(indexes, current, voting=VOTING):
    """What is voted for by NumPy's loops, and by those in machine code."""
    query = query_of(np.array(current, dtype=np.int32), voting)
    numpy, machine = (
        dict(zip(found.items.tolist(), found.scores.tolist(), strict=True))
        for found in (votes(indexes, query, voting, loops) for loops in (NumpyLoops(), kernels))
    )
    assert machine == pytest.approx(numpy, rel=1e-6)
    return numpy


@given(sessions, item_lists, votings)
def test_the_votes_are_those_of_the_definition(recorded, current, voting):
    recorded = sorted(recorded, key=lambda each: each[0])
    assert asked([index_of(recorded, voting)], current, voting) == pytest.approx(
        naive(recorded, current, voting), rel=1e-5
    )


@given(sessions, st.integers(0, 14), item_lists, votings)
def test_an_index_and_a_tail_answer_as_one_index(recorded, cut, current, voting):
    recorded = sorted(recorded, key=lambda each: each[0])
    both = [index_of(recorded[:cut], voting), tail_of(recorded[cut:])]
    assert asked(both, current, voting) == pytest.approx(asked([index_of(recorded, voting)], current, voting), rel=1e-5)


named = st.binary(min_size=1, max_size=2)
puts = st.tuples(named, st.lists(st.integers(0, ITEMS - 1), max_size=6), st.integers(0, 3))


@given(st.lists(puts, max_size=20), item_lists)
def test_a_tail_knows_the_latest_of_each_session_and_forgets_the_one_that_ended_first(puts, current):
    tail, kept = SessionTail(3), {}
    for session, items, at in puts:
        tail.put(session, items, float(at))
        kept.pop(session, None)
        if items:
            kept[session] = at, items
        kept = dict(sorted(kept.items(), key=lambda each: (each[1][0], each[0]))[-3:])
    assert len(tail) == len(kept)
    assert all(session in tail for session in kept)
    assert asked([tail], current) == pytest.approx(asked([index_of(list(kept.values()))], current), rel=1e-5)


@given(st.data(), st.dictionaries(named, st.tuples(item_lists, st.integers(0, 2)), max_size=12), item_lists, votings)
def test_tails_that_met_the_same_sessions_in_any_order_answer_the_same(data, ended, current, voting):
    """Most of these sessions ended at once, some are cut off, and some votes are equal."""
    capacity = data.draw(st.integers(1, 12))
    told = []
    for _ in range(2):
        tail = SessionTail(capacity)
        for session, (items, at) in data.draw(st.permutations(list(ended.items()))):
            tail.put(session, items, float(at))
        told.append(asked([tail], current, voting))
    assert told[0] == told[1]


def test_nobody_is_their_own_neighbour():
    tail = tail_of([(1, [0, 1]), (2, [0, 2])])
    assert set(asked([tail.without(bytes([1]))], [0])) == {0, 1}
    assert set(asked([tail.without(b"unheard")], [0])) == {0, 1, 2}


def test_what_comes_after_the_shared_item_counts_most_and_what_is_near_more_than_what_is_far():
    scores = asked([index_of([(1, [4, 0, 1, 2])])], [0])
    assert scores[1] > scores[2] > scores[4]


def test_a_session_that_shares_the_newest_item_is_heard_before_one_that_shares_an_older_one():
    scores = asked([index_of([(1, [1, 5]), (2, [0, 4])])], [0, 1])
    assert scores[5] > scores[4]


def test_a_session_that_shares_a_rare_item_is_heard_before_one_that_shares_a_common_one():
    index = index_of([(1, [0, 4]), (2, [1, 5]), (3, [1]), (4, [1])])
    alike = Query(np.array([0, 1], np.int32), np.ones(2, np.float32))
    found = votes([index], alike, replace(VOTING, sample=9, neighbours=9, rarity=1.0))
    scores = dict(zip(found.items.tolist(), found.scores.tolist(), strict=True))
    assert scores[4] > scores[5]


def test_an_item_that_comes_again_counts_at_its_latest_place():
    assert query_of(np.array([3, 1, 3], dtype=np.int32), VOTING).items.tolist() == [1, 3]


def test_a_query_may_bring_weights_of_its_own():
    index = index_of([(1, [1, 5]), (2, [0, 4])])
    found = votes([index], Query(np.array([1, 0], np.int32), np.array([9.0, 1.0], np.float32)), VOTING)
    scores = dict(zip(found.items.tolist(), found.scores.tolist(), strict=True))
    assert scores[5] > scores[4]


def test_nothing_shared_is_nothing_voted():
    assert asked([index_of([(1, [1, 2])]), SessionTail()], [0, ITEMS + 7]) == {}
    assert asked([index_of([])], []) == {}


def test_items_may_go_by_other_numbers_outside():
    outer, inner = np.full(ITEMS, -1, dtype=np.int32), np.full(30, -1, dtype=np.int32)
    for number, other in ((0, 20), (1, 10)):
        outer[number], inner[other] = other, number
    outside = Renumbered(index_of([(1, [0, 1, 2])]), outer, inner)
    tail = tail_of([(2, [20, 29])])
    assert set(asked([outside, tail], [20])) == {10, 20, 29}


def test_histories_are_scored_by_their_newest_items():
    index = index_of([(1, [0, 1]), (2, [2, 3])])
    histories = Histories(
        ("a", "b"), np.array([0, 1, 2]), np.array([0, 2], np.int32), np.ones(2, np.float32), np.zeros(2)
    )
    scores = index.score_histories(histories)
    assert np.flatnonzero(scores[0]).tolist() == [0, 1]
    assert np.flatnonzero(scores[1]).tolist() == [2, 3]


def test_similar_items_are_those_that_sessions_went_on_to():
    index = index_of([(1, [0, 1, 2])])
    assert index.similar("i00", 5).item_ids == ("i01", "i02")
    assert len(index.similar("unheard of", 5)) == 0


@pytest.mark.parametrize("wrong", [{"sample": 0}, {"neighbours": 0}, {"last": 257}, {"age": 0.0}, {"same": -1.0}])
def test_votings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationInvalid):
        replace(VOTING, **wrong)


def test_sessions_must_be_of_the_items(session_knn):
    with pytest.raises(Undecodable):
        replace(session_knn, items=session_knn.items + 3)


def test_a_tail_must_hold_something():
    with pytest.raises(ConfigurationInvalid):
        SessionTail(0)
