"""The simulated shop: reproducible, well-formed, and with a structure that can be learned."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.simulator.catalogue import arrival_days
from ingest.simulator.game_features import game_features
from ingest.simulator.market import market
from ingest.simulator.shop import affinities, catalogue, events, live, shoppers, true_affinity

SEED, SHOPPERS, DAYS = 7, 250, 60
END = datetime(2025, 6, 1, tzinfo=UTC)
START = END - timedelta(days=DAYS)
TYPES = {"click", "view", "search", "like", "dislike", "cart", "purchase", "identify"}


@pytest.fixture(scope="module")
def recorded() -> list[dict]:
    return list(events(SEED, SHOPPERS, DAYS, end=END))


@pytest.fixture(scope="module")
def clicks(recorded) -> list[dict]:
    return [event for event in recorded if event["type"] == "click"]


def by_session(some: list[dict]) -> dict[str, list[dict]]:
    sessions = defaultdict(list)
    for event in some:
        sessions[event["session_id"]].append(event)
    return sessions


def day_of(event: dict) -> int:
    return (datetime.fromisoformat(event["occurred_at"]) - START).days


# --- reproducible


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 12), days=st.integers(1, 30))
def test_the_same_seed_gives_the_same_bytes(seed, n, days):
    once, twice = (json.dumps(list(events(seed, n, days, end=END))) for _ in range(2))
    assert once == twice


def test_another_seed_gives_another_history(recorded):
    assert recorded != list(events(SEED + 1, SHOPPERS, DAYS, end=END))


def test_a_shopper_is_the_same_among_few_and_among_many():
    few, many = shoppers(SEED, 3), shoppers(SEED, 30)
    assert [s.user_id for s in few] == [s.user_id for s in many[:3]]
    assert all(np.array_equal(a.taste_last, b.taste_last) for a, b in zip(few, many, strict=False))


# --- well-formed


def test_events_come_in_order_of_time_and_within_the_recorded_days(recorded):
    times = [event["occurred_at"] for event in recorded]
    assert times == sorted(times)
    assert all(time.endswith("Z") for time in times)
    assert START <= datetime.fromisoformat(times[0]) <= datetime.fromisoformat(times[-1]) <= END


def test_every_event_has_an_id_of_its_own_that_says_seed_and_number(recorded):
    assert [event["event_id"] for event in recorded] == [f"sim-{SEED}-{n}" for n in range(len(recorded))]


def test_every_event_has_a_known_type_and_somebody_who_did_it(recorded):
    assert {event["type"] for event in recorded} == TYPES
    assert all(event.get("user_id") or event.get("anonymous_id") for event in recorded)
    assert all(set(event["context"]) == {"device", "country", "page"} for event in recorded)


def test_every_id_keeps_to_the_limits_of_the_contract(recorded):
    for event in recorded:
        ids = [event[name] for name in ("user_id", "anonymous_id", "session_id", "item_id") if name in event]
        assert all(1 <= len(name) <= 128 and name.isprintable() for name in ids)
        assert len(event["event_id"]) <= 64


def test_every_item_of_an_event_is_in_the_catalogue(recorded):
    known = {game["item_id"] for game in catalogue()}
    with_item = [event for event in recorded if event["type"] not in {"search", "identify"}]
    assert all(event["item_id"] in known for event in with_item)


def test_searches_and_only_searches_have_a_query_and_it_finds_something(recorded):
    assert all(("query" in event) == (event["type"] == "search") for event in recorded)
    assert all(game_features().matches[event["query"]].any() for event in recorded if "query" in event)


def test_a_session_has_one_visitor_and_does_not_overlap_their_next(recorded):
    spans = defaultdict(list)
    for session in by_session(recorded).values():
        (number,) = {event["session_id"].split("-")[2] for event in session}
        spans[number].append((session[0]["occurred_at"], session[-1]["occurred_at"]))
    assert all(before[1] < after[0] for some in spans.values() for before, after in pairwise(sorted(some)))


def test_nothing_is_bought_twice_nor_before_it_lay_in_the_cart(recorded):
    carts, bought = set(), set()
    for event in recorded:
        key = (event["session_id"].split("-")[2], event.get("item_id"))
        if event["type"] == "cart":
            carts.add(key)
        if event["type"] == "purchase":
            assert key in carts
            assert key not in bought
            bought.add(key)


def test_no_game_is_met_before_it_is_on_sale(recorded):
    arrives = {catalogue()[index]["item_id"]: day for index, day in arrival_days(DAYS).items()}
    met = [event for event in recorded if event.get("item_id") in arrives]
    assert met
    # A visit looks at the shop as it was on the day on which it began.
    assert all(day_of(event) >= arrives[event["item_id"]] for event in met)


def test_a_guest_is_anonymous_until_they_identify_and_never_after(recorded):
    guests = {s.user_id: s.anonymous_id for s in shoppers(SEED, SHOPPERS) if s.anonymous_id}
    linked = set()
    for event in recorded:
        if event["type"] == "identify":
            assert guests[event["user_id"]] == event["anonymous_id"]
            linked.add(event["anonymous_id"])
        elif "anonymous_id" in event:
            assert "user_id" not in event
            assert event["anonymous_id"] not in linked
        elif event["user_id"] in guests:
            assert guests[event["user_id"]] in linked
    assert linked


# --- learnable


def test_shoppers_click_what_they_like_far_more_than_chance(clicks):
    people = {s.user_id: s for s in shoppers(SEED, SHOPPERS)}
    liking = [
        affinities(people[event["user_id"]], day_of(event) / (DAYS - 1))[game_features().index[event["item_id"]]]
        for event in clicks
        if "user_id" in event
    ]
    # Affinities are in standard deviations: clicks at random would average 0.
    standard_error = np.std(liking) / np.sqrt(len(liking))
    assert np.mean(liking) > 0.5
    assert np.mean(liking) > 10 * standard_error


def test_likes_are_of_games_liked_better_than_dislikes(recorded):
    people = {s.user_id: s for s in shoppers(SEED, SHOPPERS)}
    liking = defaultdict(list)
    for event in recorded:
        if event["type"] in {"like", "dislike"} and "user_id" in event:
            liking[event["type"]].append(true_affinity(people[event["user_id"]], event["item_id"]))
    assert np.mean(liking["like"]) > np.mean(liking["dislike"]) + 1.0


def test_true_affinity_takes_an_item_or_its_id():
    someone, game = shoppers(SEED, 1)[0], catalogue()[42]
    assert true_affinity(someone, game) == true_affinity(someone, game["item_id"])


def test_tastes_drift_yet_stay_recognisable():
    kept = [np.corrcoef(affinities(s, 0.0), affinities(s, 1.0))[0, 1] for s in shoppers(SEED, 100)]
    assert 0.5 < np.median(kept) < 0.99


def test_the_next_click_of_a_session_is_nearer_than_another_click_of_that_shopper(clicks):
    """Taste alone would make both alike; the rest is co-visitation."""
    rng = np.random.default_rng(0)
    own = defaultdict(list)
    for event in clicks:
        own[event.get("user_id")].append(game_features().index[event["item_id"]])
    gain = [
        game_features().similarity[game_features().index[a["item_id"]], game_features().index[b["item_id"]]]
        - game_features().similarity[game_features().index[a["item_id"]], rng.choice(own[a.get("user_id")])]
        for session in by_session(clicks).values()
        for a, b in pairwise(session)
    ]
    assert np.mean(gain) > 5 * np.std(gain) / np.sqrt(len(gain))


def test_companions_follow_each_other_more_than_their_likeness_explains(clicks):
    pull = market(SEED, DAYS).pull - 5.0 * game_features().similarity
    follows = [
        pull[game_features().index[a["item_id"]], game_features().index[b["item_id"]]] > 1.0
        for session in by_session(clicks).values()
        for a, b in pairwise(session)
    ]
    assert np.mean(follows) > 2 * np.mean(pull > 1.0)


def test_a_game_in_fashion_is_clicked_more_in_its_week_than_in_others(clicks):
    weekly = Counter((day_of(event) // 7, event["item_id"]) for event in clicks)
    weeks = market(SEED, DAYS).trending[: DAYS // 7]
    pairs = [(week, game_features().items[item]["item_id"]) for week, items in enumerate(weeks) for item in items]
    in_fashion = sum(weekly[pair] for pair in pairs)
    otherwise = sum(weekly[week, item] for _, item in pairs for week in range(len(weeks))) - in_fashion
    assert in_fashion > 1.5 * otherwise / (len(weeks) - 1)


def test_a_few_shoppers_make_much_of_the_traffic(recorded):
    busy = sorted(Counter(event["session_id"].split("-")[2] for event in recorded).values(), reverse=True)
    assert sum(busy[: SHOPPERS // 10]) > 0.3 * len(recorded)


# --- live


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = END

    def read(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += timedelta(seconds=seconds)


@settings(max_examples=8, deadline=None)
@given(rate=st.floats(0.1, 500.0))
def test_live_events_keep_to_the_asked_rate(rate):
    clock = Clock()
    list(islice(live(SEED, rate, clock.read, clock.sleep, n_shoppers=20), 60))
    assert (clock.now - END).total_seconds() == pytest.approx(60 / rate, rel=0.01, abs=0.001)


def test_live_events_are_stamped_with_the_time_they_are_made():
    clock = Clock()
    for event in islice(live(SEED, 5.0, clock.read, clock.sleep, n_shoppers=20), 50):
        assert abs((datetime.fromisoformat(event["occurred_at"]) - clock.now).total_seconds()) < 0.001


def test_a_reader_that_paused_is_not_flooded():
    clock = Clock()
    stream = live(SEED, 10.0, clock.read, clock.sleep, n_shoppers=20)
    next(stream)
    clock.now += timedelta(hours=1)
    back = clock.now
    list(islice(stream, 100))
    assert (clock.now - back).total_seconds() > 100 / 10.0 - 2.0


def test_live_events_share_no_id_with_the_recorded_ones_nor_with_a_later_run(recorded):
    clock, later = Clock(), Clock()
    later.now += timedelta(seconds=1)
    runs = [
        {event["event_id"] for event in islice(live(SEED, 5.0, c.read, c.sleep, n_shoppers=20), 100)}
        for c in (clock, later)
    ]
    ids = [event["event_id"] for event in recorded]
    assert len({*ids, *runs[0], *runs[1]}) == len(ids) + 200


def test_live_shoppers_keep_their_sessions_to_themselves():
    clock = Clock()
    visitors = defaultdict(set)
    for event in islice(live(SEED, 20.0, clock.read, clock.sleep, n_shoppers=50), 1000):
        visitors[event["session_id"]].add(event["user_id"])
    assert all(len(names) == 1 for names in visitors.values())
