"""What every answer must hold, whatever is asked."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.structures.lists import ScoredList
from serving.ranking.blend import BlendedCandidates
from serving.ranking.context import NO_SEED
from serving.ranking.pipeline import _seeds

NOW = 1_795_428_000.0  # 2026-11-23T10:00Z, as in conftest
KINDS = ("view", "click", "like", "unlike", "dislike", "dismiss", "rating", "purchase")

histories = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 59), st.floats(0, 40 * 86_400)), max_size=40)
asks = st.fixed_dictionaries(
    {
        "count": st.integers(1, 70),
        "random_seed": st.integers(0, 5),
        "diversity": st.sampled_from([0.0, 0.4, 1.0]),
        "user_id": st.sampled_from([None, "ann", "bob"]),
        "exclude": st.lists(st.integers(0, 70).map("item-{}".format), max_size=10).map(tuple),
        "categories": st.sampled_from([(), ("puzzle",), ("RACING", "story"), ("none such",)]),
    }
)
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def remembered(say, remember):
    def make(history):
        events = [
            say(kind, number, NOW - ago, value=4.0 if kind == "rating" else None, event_id=str(place))
            for place, (kind, number, ago) in enumerate(history)
        ]
        return remember(*events)

    return make


def ids(ranked):
    return [item.item_id for item in ranked.items]


@relaxed
@given(history=histories, ask=asks)
def test_an_answer_never_shows_what_was_seen_hidden_excluded_or_shown_already(
    trained, describe, remembered, category, history, ask
):
    trained.catalogue.put(describe(5, hidden=True))
    trained.catalogue.put(describe(6, deleted=True))
    value = remembered(history)
    shown = ids(trained.ask(value, **ask))
    assert len(shown) <= ask["count"]
    assert len(set(shown)) == len(shown)
    assert not set(shown) & {*value.seen, *ask["exclude"], "item-5", "item-6"}
    if ask["categories"]:
        assert {category(each) for each in shown} <= {name.casefold() for name in ask["categories"]}


@relaxed
@given(history=histories, ask=asks)
def test_equal_inputs_give_equal_answers_and_scores_fall(trained, remembered, history, ask):
    value = remembered(history)
    first, second = trained.ask(value, **ask), trained.ask(value, **ask)
    assert first.items == second.items
    scores = [item.score for item in first.items]
    # Scores that agree to six decimals tie, and ties are broken by the items' ids.
    assert all(score >= below - 1e-6 for score, below in pairwise(scores))
    assert all(score > 0 for score in scores)


@relaxed
@given(history=histories, ask=asks)
def test_the_reasons_of_an_item_share_its_whole_score(trained, remembered, history, ask):
    for item in trained.ask(remembered(history), **ask).items:
        assert item.reasons
        assert 0.9 < sum(reason.share for reason in item.reasons) < 1.001


def test_the_whole_catalogue_can_be_paged_through_without_a_repeat(trained, remember, say):
    value = remember(say("like", 0))
    shown, pages = b"", []
    for _ in range(12):
        page = trained.ask(value, count=10, shown_hashes=shown)
        pages += ids(page)
        shown += trained.catalogue.column("hash")[page.positions].astype("<u4").tobytes()
    assert len(pages) == len(set(pages)) == 59


def test_an_empty_store_answers_with_nothing_and_does_not_fail(world):
    from serving.state.aggregates import Aggregates
    from serving.state.catalogue import Catalogue

    world.catalogue = Catalogue()
    world.aggregates = Aggregates(world.catalogue, 8, {})
    assert world.ask().items == []


def test_before_anything_happened_the_newest_items_are_shown(world, describe):
    from datetime import UTC, datetime

    world.catalogue.put(describe(17, published_at=datetime(2026, 11, 22, tzinfo=UTC)))
    ranked = world.ask(count=5)
    assert ids(ranked)[0] == "item-17"
    assert ranked.items[0].reasons[0].source == "new"
    assert len(ranked.items) == 5


def test_a_cold_start_user_sees_what_is_trending_and_popular(world, say):
    world.happen(*(say("like", 9, NOW - n, user_id=f"u{n}") for n in range(20)))
    ranked = world.ask(user_id="stranger", count=3)
    assert ids(ranked)[0] == "item-9"
    assert {reason.source for reason in ranked.items[0].reasons} == {
        "trending_hour",
        "trending_day",
        "trending_fortnight",
        "popular",
    }


def test_after_a_like_other_items_move_up_that_name_it(trained, remember, say, category):
    before = ids(trained.ask(user_id="bob"))
    after = trained.ask(remember(say("like", 1)), user_id="bob")
    moved = [
        item
        for place, item in enumerate(after.items)
        if (item.item_id not in before or before.index(item.item_id) > place)
        and any(reason.item_id == "item-1" for reason in item.reasons)
    ]
    assert moved
    assert {category(item.item_id) for item in moved} == {"racing"}


def test_a_like_of_another_user_does_not_change_a_known_users_list(trained, remember, say):
    value = remember(*(say("view", n, NOW - 30 * 86_400 + n) for n in range(0, 30, 6)))
    stored = ScoredList(tuple(f"item-{n}" for n in range(36, 60)), tuple(1 - n / 100 for n in range(24)))
    before = trained.ask(value, stored, user_id="bob")
    trained.happen(*(say("like", 41, NOW - n, user_id=f"u{n}", event_id=f"e{n}") for n in range(50)))
    assert trained.ask(value, stored, user_id="bob").items == before.items


def test_without_fresh_events_the_stored_list_keeps_its_order(trained):
    stored = ScoredList(("item-40", "item-3", "item-22"), (0.9, 0.8, 0.7))
    ranked = trained.ask(stored=stored, user_id="bob", count=3)
    assert ids(ranked) == ["item-40", "item-3", "item-22"]
    assert all(item.reasons[0].source == "precomputed" for item in ranked.items)


def test_the_session_weighs_more_than_the_day_before(trained, remember, say, category):
    value = remember(say("like", 1, NOW - 86_000), say("like", 2, NOW - 30))
    first = trained.ask(value, user_id="ann", count=5)
    assert category(first.items[0].item_id) == "strategy"


def test_what_is_like_a_disliked_item_moves_down(trained, remember, say, category):
    liked = (say("like", 0, NOW - 50), say("like", 1, NOW - 45))
    content = ids(trained.ask(remember(*liked), user_id="ann", count=30))
    cross = ids(trained.ask(remember(*liked, say("dislike", 7, NOW - 5)), user_id="ann", count=30))

    def places_of_racing(shown):
        return sum(shown.index(each) for each in shown if category(each) == "racing")

    assert places_of_racing(cross) > places_of_racing(content)


@pytest.mark.parametrize(
    "no",
    [("dislike", None), ("dismiss", None), ("rating", 1.0), ("unlike", None)],
    ids=["dislike", "dismiss", "low rating", "unlike"],
)
def test_a_rejected_item_leaves_the_list_at_once_and_is_no_seed(trained, remember, say, category, no):
    liked = (say("like", 0, NOW - 50), say("like", 1, NOW - 45))
    yes = trained.ask(remember(*liked), user_id="ann", count=30)
    refused = trained.ask(remember(*liked, say(no[0], 1, NOW - 5, value=no[1])), user_id="ann", count=30)
    assert any(reason.item_id == "item-1" for item in yes.items for reason in item.reasons)
    assert not any(reason.item_id == "item-1" for item in refused.items for reason in item.reasons)
    racing = [sum(category(each) == "racing" for each in ids(answer)) for answer in (yes, refused)]
    assert racing[1] < racing[0]


def test_a_retracted_like_counts_as_if_it_had_never_been(trained, remember, say):
    like = say("like", 1, NOW - 45, event_id="oops")
    taken_back = remember(say("like", 0, NOW - 50), like, say("retract", None, NOW - 5, event_id="oops"))
    never = remember(say("like", 0, NOW - 50))
    assert ids(trained.ask(taken_back, user_id="ann", count=30)) == ids(trained.ask(never, user_id="ann", count=30))


def test_an_unlike_takes_the_likes_effect_back(trained, remember, say, category):
    taken_back = trained.ask(remember(say("like", 1), say("unlike", 1, NOW - 30)), user_id="bob", count=10)
    assert not [reason for item in taken_back.items for reason in item.reasons if reason.item_id == "item-1"]


def test_a_search_brings_what_matches_to_the_top_and_fades(trained, remember, say, category):
    searched = remember(say("search", None, NOW - 20, query="Racing games"))
    assert category(trained.ask(searched, count=3).items[0].item_id) == "racing"
    later = trained.ask(searched, count=3, now=NOW + 6 * 3_600)
    assert not [r for item in later.items for r in item.reasons if r.source == "search"]


def test_what_others_went_on_to_is_offered_in_the_session(world, remember, say):
    crowd = [
        say("view", item, NOW - 900 + n, user_id=f"u{n}", event_id=f"{n}-{item}")
        for n in range(12)
        for item in (30, 31)
    ]
    world.happen(*crowd)
    ranked = world.ask(remember(say("view", 30)), user_id="ann", count=5)
    found = next(item for item in ranked.items if item.item_id == "item-31")
    assert ("covisitation", "item-30") in {(reason.source, reason.item_id) for reason in found.reasons}


def test_an_item_that_only_events_know_can_be_recommended_or_not(world, say):
    world.happen(*(say("like", 99, NOW - n, user_id=f"u{n}") for n in range(9)))
    assert "item-99" in ids(world.ask(count=5))


def test_items_outside_their_window_wait(world, describe):
    from datetime import UTC, datetime

    world.catalogue.put(describe(8, available_from=datetime(2026, 11, 24, tzinfo=UTC)))
    world.catalogue.put(describe(9, available_until=datetime(2026, 11, 22, tzinfo=UTC)))
    shown = ids(world.ask(count=60))
    assert not {"item-8", "item-9"} & set(shown)
    assert "item-8" in ids(world.ask(count=60, now=NOW + 2 * 86_400))


def test_diversity_mixes_categories(trained, remember, say, category):
    value = remember(say("like", 1))
    alike = {category(each) for each in ids(trained.ask(value, user_id="ann", count=6))}
    mixed = {category(each) for each in ids(trained.ask(value, user_id="ann", count=6, diversity=1.0))}
    assert len(alike) < len(mixed) == 6


def test_a_seed_explores_and_repeats_itself(trained, remember, say):
    value = remember(say("like", 1), say("like", 2))
    plain = ids(trained.ask(value, user_id="ann"))
    assert ids(trained.ask(value, user_id="ann", random_seed=3)) == ids(
        trained.ask(value, user_id="ann", random_seed=3)
    )
    assert any(ids(trained.ask(value, user_id="ann", random_seed=seed)) != plain for seed in range(1, 5))


def test_a_source_looks_up_seeds_of_its_own_candidates_only():
    request = []

    def seed_lookup(indices):
        request.append(indices.tolist())
        return indices * 10

    added, indices = np.ones((3, 3), np.float32), np.array([[2, -1, 0], [-1, -1, 1], [0, 1, 2]], np.int32)
    blended = BlendedCandidates(
        np.arange(3, dtype=np.int32),
        np.ones(3, np.float32),
        ("a", "b", "c"),
        added,
        indices,
        (seed_lookup, seed_lookup, 7),
    )
    seeds = _seeds(blended, np.array([0, 1, 2], np.int32))
    assert request == [[2, 0], [1]]
    assert seeds.tolist() == [[20, NO_SEED, 0], [NO_SEED, NO_SEED, 10], [7, 7, 7]]
