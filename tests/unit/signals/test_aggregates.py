"""Counts over all users, compared with plain sums, and within their bounds."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import LoggedEvent
from signals import aggregates
from signals.aggregates import changes, decode, encode, fold
from signals.counters import Transition
from signals.decay import value_at
from signals.kinds import covisits, popularity
from signals.kinds.covisits import CovisitCounters
from signals.kinds.popularity import PopularityCounters, TypeCount
from signals.users import TYPES, Entry

TODAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
DAY = 86_400.0
_AT = datetime(2026, 11, 23, tzinfo=UTC)
SOMETHING = LoggedEvent(event_id="e", type="click", user_id="ann", occurred_at=_AT, received_at=_AT)

entries = st.lists(
    st.builds(
        Entry,
        offset=st.just(0),
        type=st.sampled_from(["click", "view", "like", "dislike"]),
        item=st.sampled_from("abcdef"),
        at=st.floats(0, 20).map(lambda days: TODAY - days * DAY),
        value=st.none(),
        id_hash=st.just(b""),
    ),
    max_size=25,
)


def entry(item: str, kind: str = "click", at: float = TODAY) -> Entry:
    return Entry(0, kind, item, at, None, b"")


def transition(each: Entry, earlier: list[Entry] = ()) -> Transition:
    return Transition(each.offset, SOMETHING, each, tuple(earlier))


def unfold(cells: dict[str, aggregates.Counters], each: Entry) -> dict[str, aggregates.Counters]:
    return fold(cells, [Transition(1, SOMETHING, None, (), (each,))])


def folded(history: list[Entry], stored: bool = False) -> dict[str, aggregates.Counters]:
    cells: dict[str, aggregates.Counters] = {}
    for n, each in enumerate(history):
        cells.update(fold(cells, [transition(each, history[:n])]))
        if stored:
            cells = {key: decode(key, encode(cell)) for key, cell in cells.items()}
    return cells


def brute_force_links(history: list[Entry]) -> dict[tuple[str, str], float]:
    """Decayed co-visits at TODAY, by pair: each interaction with the distinct items nearest before it, and less so back."""
    links: dict[tuple[str, str], float] = defaultdict(float)
    for n, each in enumerate(history):
        earlier = [
            e for e in reversed(history[:n]) if e.type != "dislike" and each.at - e.at <= covisits.WINDOW_SECONDS
        ]
        items = dict.fromkeys(e.item for e in earlier if e.item != each.item)
        for distance, item in enumerate(list(items)[: covisits.MAX_LINKS], start=1):
            if each.type != "dislike":
                worth = 2 ** ((each.at - TODAY) / covisits.HALF_LIFE) * distance**-covisits.FADING
                links[item, each.item] += worth
                links[each.item, item] += worth * covisits.BACKWARD
    return links


@given(entries)
def test_popularity_is_the_decayed_sum_of_the_items_events(history):
    cells = folded(history)
    for item in {e.item for e in history}:
        cell = cells[f"pop:{item}"]
        mine = [e for e in history if e.item == item]
        assert (cell.first, cell.last) == (min(e.at for e in mine), max(e.at for e in mine))
        assert cell.types.keys() == {e.type for e in mine}
        for kind, counted in cell.types.items():
            ats = [e.at for e in mine if e.type == kind]
            assert counted.count == len(ats)
            for decayed, half_life in zip(counted.decayed, popularity.HALF_LIVES, strict=True):
                direct = math.fsum(2 ** ((at - max(ats)) / half_life) for at in ats)
                assert value_at(decayed, half_life, max(ats)) == pytest.approx(direct, rel=1e-8)


@given(entries)
def test_followers_are_the_decayed_sum_of_what_came_after(history):
    cells = folded(history)
    found = {
        (key.removeprefix("next:"), follower): value_at(decayed, covisits.HALF_LIFE, TODAY)
        for key, cell in cells.items()
        if isinstance(cell, CovisitCounters)
        for follower, decayed in cell.followers.items()
    }
    assert found == pytest.approx(brute_force_links(history), rel=1e-8)


@given(entries)
def test_a_fold_changes_only_the_cells_it_touches(history):
    for n, each in enumerate(history):
        keys = {key for _, changed in changes([transition(each, history[:n])]) for key in changed}
        assert fold({key: decode(key, None) for key in keys}, [transition(each, history[:n])]).keys() == keys


@given(entries)
def test_folding_again_gives_the_same_bytes_wherever_it_was_stored_meanwhile(history):
    once, again = folded(history), folded(history, stored=True)
    assert {key: encode(cell) for key, cell in once.items()} == {key: encode(cell) for key, cell in again.items()}


@given(entries, st.integers(0, 25))
def test_many_events_at_once_change_the_same_as_one_by_one(history, first):
    seen = [transition(each, history[:n]) for n, each in enumerate(history)]
    cells = fold({}, seen[:first])
    assert cells | fold(cells, seen[first:]) == folded(history)


def test_cells_that_are_trimmed_on_the_way_are_the_same_however_many_events_come_at_once():
    random, history = Random(1), []
    for offset in range(900):
        at, item = TODAY - random.random() * DAY, f"i{int(400 * random.random() ** 3)}"
        labels = (f"country:{random.randrange(99)}",)
        kind = random.choice(["click", "view", "like"])
        history.append(Entry(offset, kind, item, at, None, b"", b"s", b"g" if offset % 5 else b"", 3, labels))
    seen = [
        Transition(
            n, SOMETHING, each, tuple(history[max(0, n - 32) : n]), tuple(history[n - 9 : n - 8]) if n % 7 == 0 else ()
        )
        for n, each in enumerate(history)
    ]
    cells, at_once, begin = {}, {}, 0
    for each in seen:
        cells |= fold(cells, [each])
    while begin < len(seen):
        end = begin + random.randrange(1, 200)
        before = {key: encode(cell) for key, cell in at_once.items()}
        changed = fold(at_once, seen[begin:end])
        assert {key: encode(cell) for key, cell in at_once.items()} == before
        at_once, begin = at_once | changed, end
    assert {key: encode(cell) for key, cell in at_once.items()} == {key: encode(cell) for key, cell in cells.items()}
    assert len(cells["next:i0"].followers) > covisits.WIDTH, "or nothing had to be trimmed"


@given(entries, st.sampled_from("abcdef"))
def test_what_is_taken_back_no_longer_counts(history, item):
    click = entry(item)
    cells = folded([*history, click])
    before = folded(history).get(f"pop:{item}", PopularityCounters()).types.get("click", TypeCount(0, (-math.inf,) * 3))
    after = unfold(cells, click)[f"pop:{item}"].types["click"]
    assert after.count == before.count
    for mine, theirs, half_life in zip(after.decayed, before.decayed, popularity.HALF_LIVES, strict=True):
        worth = value_at(mine, half_life, TODAY), value_at(theirs, half_life, TODAY)
        assert worth[0] == pytest.approx(worth[1], abs=1e-8)


def test_taking_back_what_was_never_counted_changes_nothing():
    cell = PopularityCounters()
    assert unfold({"pop:a": cell}, entry("a"))["pop:a"] == cell


def test_an_item_counts_so_many_types_and_no_more():
    history = [entry("a", f"kind{n}") for n in range(2 * TYPES)]
    cell = folded(history)["pop:a"]
    assert list(cell.types) == [f"kind{n}" for n in range(TYPES)]
    again = folded([*history, entry("a", "kind0")])["pop:a"]
    assert again.types["kind0"].count == 2
    assert unfold({"pop:a": cell}, history[-1])["pop:a"] == cell


def test_an_item_keeps_its_strongest_followers_and_trims_the_others_together():
    history = [entry("a", at=TODAY - 60)]
    most = covisits.WIDTH + covisits.SLACK
    followers = [f"f{n:03}" for n in range(most + 5)]
    cells: dict[str, aggregates.Counters] = {}
    for n, follower in enumerate(followers):
        each = entry(follower, at=TODAY + n)
        cells.update(fold(cells, [transition(each, history)]))
        assert len(cells["next:a"].followers) <= most
    assert sorted(cells["next:a"].followers) == followers[-covisits.WIDTH - 4 :]


def test_so_many_earlier_items_are_linked_and_no_more_the_nearest_strongest():
    history = [entry(f"i{n}") for n in range(covisits.MAX_LINKS + 5)]
    last = len(history) - 1
    cells = folded(history)
    worth = {
        k: value_at(c.followers[f"i{last}"], covisits.HALF_LIFE, TODAY)
        for k, c in cells.items()
        if f"i{last}" in getattr(c, "followers", ())
    }
    fading = covisits.FADING
    assert worth == pytest.approx({f"next:i{last - d}": d**-fading for d in range(1, covisits.MAX_LINKS + 1)})


@given(st.lists(entries, min_size=1, max_size=4))
def test_partitions_merged_count_what_all_their_events_count(parts):
    weights = {"click": 1.0, "like": 3.0, "view": 0.5}
    cells = [folded(part) for part in parts]
    for item in "abcdef":
        here = [part[f"pop:{item}"] for part in cells if f"pop:{item}" in part]
        events = [e for part in parts for e in part if e.item == item]
        merged = popularity.merge(here, weights)
        assert merged.total == pytest.approx(sum(weights.get(e.type, 0) for e in events))
        for decayed, half_life in zip(merged.decayed, popularity.HALF_LIVES, strict=True):
            direct = math.fsum(weights.get(e.type, 0) * 2 ** ((e.at - TODAY) / half_life) for e in events)
            assert value_at(decayed, half_life, TODAY) == pytest.approx(direct, rel=1e-8, abs=1e-12)


@given(st.lists(entries, min_size=1, max_size=4))
def test_followers_merged_are_those_of_all_partitions(parts):
    cells = [folded(part) for part in parts]
    direct: dict[tuple[str, str], float] = defaultdict(float)
    for part in parts:
        for pair, worth in brute_force_links(part).items():
            direct[pair] += worth
    for item in "abcdef":
        merged = covisits.merge([part[f"next:{item}"] for part in cells if f"next:{item}" in part], {})
        worth = {follower: value_at(decayed, covisits.HALF_LIFE, TODAY) for follower, decayed in merged.items()}
        assert worth == pytest.approx({pair[1]: w for pair, w in direct.items() if pair[0] == item}, rel=1e-8)


def test_a_type_that_counts_against_takes_away_and_never_below_nothing():
    cells = folded([entry("a"), entry("a", "like"), entry("a", "dislike")])
    less = popularity.merge([cells["pop:a"]], {"click": 1.0, "like": 1.0, "dislike": -1.0}).decayed
    assert value_at(less[0], popularity.HALF_LIVES[0], TODAY) == pytest.approx(1.0, rel=1e-6)
    nothing = popularity.merge([cells["pop:a"]], {"click": 1.0, "dislike": -2.0}).decayed
    assert nothing == (-math.inf,) * 3


@settings(max_examples=50)
@given(st.integers(0, 2**32).map(Random), st.integers(1, 150))
def test_every_kind_of_cell_is_the_same_wherever_it_was_stored_meanwhile(traffic, partition, random, count):
    events = traffic(random, count)
    assert partition(*events).bytes() == partition(*events, stored=True).bytes()


def test_a_kind_of_cell_that_is_not_kept_has_no_cells():
    with pytest.raises(KeyError):
        decode("other:a", b"")
