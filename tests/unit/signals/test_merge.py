"""A user merged with the anonymous users that the user was before, and the weights of events."""

import pytest

from schemas.values.rating_scale import scale_of
from signals.bloom import Bloom, add, holds
from signals.event_weights import interaction_weight
from signals.merge import merge
from signals.users import EMPTY, RECENT, SEEN, Entry, Session, Term, UserValue, remembered


def entry(offset, item, at, kind="view", value=None):
    return Entry(offset, kind, item, at, value, f"{item}-{at}".encode())


def test_without_guests_the_value_is_the_users_own():
    value = UserValue(offset=4, recent=(entry(4, "a", 1.0),))
    assert merge(value, []) is value
    assert merge(value, [EMPTY]) is value


def test_histories_are_put_in_order_of_time_and_keep_the_users_offset():
    user = UserValue(offset=9, recent=(entry(2, "a", 10.0), entry(9, "b", 30.0)), counters={"view": 2}, links=("g",))
    anonymous = UserValue(offset=70, recent=(entry(70, "c", 20.0),), counters={"view": 1, "like": 3})
    merged = merge(user, [anonymous])
    assert [each.item for each in merged.recent] == ["a", "c", "b"]
    assert merged.counters == {"view": 3, "like": 3}
    assert (merged.offset, merged.links) == (9, ("g",))


def test_an_event_in_both_histories_counts_once():
    shared = entry(3, "a", 10.0)
    merged = merge(UserValue(offset=3, recent=(shared,)), [UserValue(offset=3, recent=(shared,))])
    assert merged.recent == (shared,)


def test_the_latest_session_the_newest_terms_and_what_was_seen_last_remain():
    many = {f"i{n}": float(n) for n in range(SEEN)}
    user = UserValue(offset=1, session=Session("s", 0.0, 50.0, 2), seen=many, terms=(Term(1, "x", 5.0),))
    anonymous = UserValue(
        offset=1, session=Session("t", 60.0, 70.0, 1), seen={"new": 5_000.0}, terms=(Term(1, "y", 9.0),)
    )
    merged = merge(user, [anonymous])
    assert merged.session == anonymous.session
    assert len(merged.seen) == SEEN
    assert "new" in merged.seen
    assert "i0" not in merged.seen
    assert [term.query for term in merged.terms] == ["x", "y"]


@pytest.mark.parametrize(
    ("kind", "value", "sign"),
    [
        ("rating", 5.0, 1),
        ("rating", 1.0, -1),
        ("rating", 2.5, 0),
        ("dislike", None, -1),
        ("dismiss", None, -1),
        ("unlike", None, 0),
        ("like", None, 1),
        ("dwell", 0.0, 0),
        ("dwell", 90.0, 1),
        ("nobody knows", None, 0),
    ],
)
def test_events_speak_for_or_against_an_item(kind, value, sign):
    weight = interaction_weight(entry(0, "a", 0.0, kind, value))
    assert (weight > 0) - (weight < 0) == sign


def test_a_sites_own_type_has_the_weight_that_the_site_gives_it():
    assert interaction_weight(entry(0, "a", 0.0, "wished"), {"wished": 2.5}) == 2.5


def test_the_older_history_of_an_anonymous_user_stays_with_the_user():
    long_ago = Bloom()
    for n in range(50):
        long_ago = add(long_ago, f"anonymous{n}")
    bought = {"purchase": (entry(3, "bought", 1.0, "purchase"),)}
    anonymous = UserValue(offset=400, seen={"x": 1.0}, past=long_ago, older=bought, visits=3)
    recent = tuple(entry(n, f"v{n}", 10.0 + n) for n in range(RECENT))
    user = UserValue(offset=1, recent=recent, seen={f"s{n}": 5.0 + n for n in range(SEEN)}, past=add(Bloom(), "mine"))
    merged = merge(user, [anonymous])
    assert all(
        item in merged.seen or holds(merged.past, item) for item in ("mine", "x", "anonymous0", "anonymous49", "s0")
    )
    assert merged.older == bought
    assert merged.recent == recent
    assert merged.visits == 3


def test_what_the_recent_entries_have_no_room_for_is_kept_by_type():
    user = UserValue(offset=1, recent=tuple(entry(n, f"v{n}", 10.0 + n) for n in range(RECENT)))
    anonymous = UserValue(offset=9, recent=(entry(8, "liked", 1.0, "like"), entry(9, "viewed", 2.0)))
    merged = merge(user, [anonymous])
    assert [each.item for each in remembered(merged)] == ["liked", *(each.item for each in user.recent)]


def test_the_share_of_a_page_adds_to_the_time_on_it():
    glance, read = (Entry(0, "dwell", "a", 0.0, 30.0, b"", scroll=share) for share in (None, 1.0))
    assert (interaction_weight(glance), interaction_weight(read)) == (0.5, 1.5)
    assert interaction_weight(Entry(0, "dwell", "a", 0.0, 1e6, b"", scroll=1.0)) == 3.0


@pytest.mark.parametrize(
    ("stars", "scale", "weight"),
    [(3.0, "0..5", 0.5), (3.0, "1..5", 0.0), (3.0, "0..10", -1.0), (7.0, "0..10", 1.0), (10.0, "0..10", 2.5)],
)
def test_the_middle_of_the_scale_divides_likes_from_dislikes(stars, scale, weight):
    assert interaction_weight(entry(0, "a", 0.0, "rating", stars), scale=scale_of(scale)) == weight
