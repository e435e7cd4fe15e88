from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from ingest.validation.fast_path import accept_simple_event
from ingest.validation.validate import Rejection, policy, validate_event

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALLOWED = policy({"listen"})
IDS = st.one_of(
    st.sampled_from(["ann", "a b", "é", "", "x" * 64, "x" * 129, "a\n", "\x85", "\ud800", None, 7]), st.text()
)
TIMES = st.sampled_from(
    [
        *(None, NOW, NOW + timedelta(minutes=5), NOW + timedelta(minutes=6), "2020-01-01T00:00:00Z", 5),
        *(datetime(1899, 12, 31, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)),
        datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    ]
)
VALUES = st.one_of(st.none(), st.floats(), st.integers(-3, 3), st.sampled_from(["4", True]))
TYPES = st.sampled_from([*sorted(ALLOWED.types), "unheard_of", None, ["view"]])
EVENTS = st.fixed_dictionaries(
    {"event_id": IDS, "type": TYPES, "item_id": IDS},
    optional={
        "user_id": IDS,
        "anonymous_id": IDS,
        "session_id": IDS,
        "value": VALUES,
        "occurred_at": TIMES,
        "query": IDS,
        "properties": st.just({"a": 1}),
        "nonsense": st.just(1),
    },
)


@given(EVENTS)
@example({"event_id": "e", "type": "rating", "user_id": "ann", "item_id": "doom", "value": 4.0, "occurred_at": NOW})
def test_what_is_judged_quickly_is_judged_as_the_collector_does(raw):
    quick = accept_simple_event(raw, NOW, ALLOWED)
    if quick is None:
        return
    try:
        slow = validate_event(raw, NOW, str, ALLOWED)
    except Rejection as error:
        raise AssertionError(raw) from error
    assert quick == slow


def test_a_plain_row_is_judged_quickly():
    plain = {"event_id": "e", "type": "rating", "user_id": "ann", "item_id": "doom", "value": 4.0, "occurred_at": NOW}
    assert accept_simple_event(plain, NOW, ALLOWED) is not None
    assert accept_simple_event(plain | {"query": "x"}, NOW, ALLOWED) is None
