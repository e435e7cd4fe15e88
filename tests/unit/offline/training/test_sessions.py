"""Sessions: where they end, the followers of items, and the sessions that an index keeps."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.structures.recommender import Histories
from offline.data.dataset import from_arrow
from offline.training.algorithm import Context
from offline.training.neighbourhood import session_knn
from offline.training.neighbourhood.sequential_rules import CoVisitParameters, RuleParameters
from offline.training.neighbourhood.session_knn import SessionKnnParameters
from offline.training.neighbourhood.sessions import GAP_SECONDS, recorded
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid

DAY = 86_400.0
people = st.lists(st.permutations(range(6)).map(lambda items: items[:4]), min_size=1, max_size=6)


def visited(*clicks):
    """Interactions of (user, item, time)."""
    users, items, times = map(list, zip(*clicks, strict=True))
    weights = [1.0] * len(users)
    return from_arrow(pa.table({"user": users, "item": items, "weight": weights, "first_at": times, "at": times}), {})


def in_turn(histories):
    """Each history a session of its own person, a day after the one before."""
    return visited(
        *(
            (f"u:{number}", f"i{item}", number * DAY + place)
            for number, items in enumerate(histories)
            for place, item in enumerate(items)
        )
    )


def rows_of(interactions):
    found = recorded(interactions)
    return [
        [interactions.item_ids[i] for i in found.items[begin:end].tolist()]
        for begin, end in zip(found.indptr[:-1], found.indptr[1:], strict=True)
    ]


def trained(name, interactions, **parameters):
    using = algorithm(name)
    return using.train(interactions, using.parameters(**parameters), Context(threads=1))


def test_a_long_break_ends_a_session():
    assert rows_of(visited(("u:a", "x", 0.0), ("u:a", "y", GAP_SECONDS), ("u:a", "z", 2 * GAP_SECONDS + 1))) == [
        ["x", "y"],
        ["z"],
    ]


def test_a_guest_of_one_session_may_take_a_long_break():
    assert rows_of(visited(("s:a", "x", 0.0), ("s:a", "y", DAY))) == [["x", "y"]]


def test_sessions_come_in_the_order_of_their_ends_and_items_in_that_of_their_times():
    found = visited(("u:a", "x", 5.0), ("u:a", "w", 90.0), ("u:b", "y", 7.0), ("u:b", "x", 6.0))
    assert rows_of(found) == [["x", "y"], ["x", "w"]]
    assert recorded(found).times.tolist() == [7.0, 90.0]


@given(people)
def test_no_interaction_is_lost_or_doubled(histories):
    assert rows_of(in_turn(histories)) == [[f"i{item}" for item in items] for items in histories]


def test_sessions_cannot_be_learned_without_times(interactions_of):
    with pytest.raises(ConfigurationInvalid, match="times"):
        recorded(interactions_of([[1, 1]]))


def test_the_index_holds_the_newest_sessions():
    interactions = in_turn([[0, 1], [1, 2], [2, 3, 4]])
    index = session_knn.train(interactions, SessionKnnParameters(newest=2, sample=7))
    assert index.times.tolist() == [DAY + 1, 2 * DAY + 2]
    assert [interactions.item_ids[i] for i in index.items.tolist()] == ["i1", "i2", "i2", "i3", "i4"]
    assert index.voting.sample == 7


def test_the_index_must_hold_some_session():
    with pytest.raises(ConfigurationInvalid):
        SessionKnnParameters(newest=0)


def test_session_neighbours_foresee_what_came_next():
    model = trained("session-knn", in_turn([[0, 1], [0, 1], [2, 3], [2, 3]]), same=0.0)
    nothing = np.zeros(2)
    scores = model.score_histories(
        Histories(("a", "b"), np.array([0, 1, 2]), np.array([0, 2], np.int32), np.ones(2, np.float32), nothing)
    )
    assert scores.argmax(axis=1).tolist() == [1, 3]


def naive(histories, chosen):
    """Shares of what followed each item, in loops."""
    pairs, newest = {}, len(histories) - 1
    for number, items in enumerate(histories):
        worth = 1.0 if chosen.half_life_days is None else 0.5 ** ((newest - number) / chosen.half_life_days)
        for at, first in enumerate(items):
            for apart, second in enumerate(items[at + 1 : at + 1 + chosen.window], start=1):
                for pair, counts in (((first, second), 1.0), ((second, first), chosen.backward)):
                    pairs[pair] = pairs.get(pair, 0.0) + counts * worth / apart
    totals = {first: sum(w for (one, _), w in pairs.items() if one == first) for first, _ in pairs}
    return {pair: weight / totals[pair[0]] for pair, weight in pairs.items() if weight}


@pytest.mark.parametrize(
    "chosen",
    [
        RuleParameters(),
        RuleParameters(window=2),
        CoVisitParameters(half_life_days=2.0),
        CoVisitParameters(backward=1.0),
    ],
)
@settings(max_examples=30)
@given(histories=people)
def test_followers_are_those_of_the_definition(chosen, histories):
    name = "co-visitation" if isinstance(chosen, CoVisitParameters) else "sequential-rules"
    parameters = {each: getattr(chosen, each) for each in chosen.__dataclass_fields__}
    interactions = in_turn(histories)
    model = trained(name, interactions, **parameters)
    found = {
        (int(first_id[1:]), int(second_id[1:])): score
        for first_id in interactions.item_ids
        for second_id, score in model.similar(first_id, 10)
    }
    assert found == pytest.approx(naive(histories, chosen), rel=1e-5)


def test_followers_are_cut_to_the_strongest():
    model = trained("sequential-rules", in_turn([[0, 1], [0, 1], [0, 2], [0, 3, 2]]), width=2)
    assert model.similar("i0", 10).item_ids == ("i1", "i2")


def test_rules_hear_the_newest_item_first_and_the_item_itself_as_told():
    model = trained("sequential-rules", in_turn([[0, 1], [2, 3], [0, 1], [2, 3]]), age=1.0, same=2.0)
    scores = model.score_sequence(np.array([0, 2], dtype=np.int32))
    assert scores.argsort()[::-1].tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"window": 0}, {"age": 0.0}, {"backward": -1.0}, {"half_life_days": 0.0}]
)
def test_rules_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationInvalid):
        RuleParameters(**wrong)
