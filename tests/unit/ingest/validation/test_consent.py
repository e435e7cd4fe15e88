from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.validation.consent import KEPT_CONTEXT, NEEDS_IDS, consent_in
from ingest.validation.fast_path import accept_simple_event
from ingest.validation.validate import Rejection, policy, validate_event
from schemas.log.codec import decode_event

IDS = {"user_id": "ann", "anonymous_id": "guest-7", "session_id": "visit-3"}
VIEW = {"event_id": "e1", "type": "view", "item_id": "portal-2", **IDS}
REFUSE = policy()._replace(consent="refuse")
ANONYMOUS = policy()._replace(consent="anonymous")
_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEEDED = {"query": "doom", "item_id": "portal-2"}


@pytest.fixture
def take(noon):
    return lambda raw, allowed: validate_event(raw, noon, lambda: "made-here", allowed)


@pytest.mark.parametrize(
    ("context", "consent"),
    [
        ({"consent": True}, True),
        ({"consent": "granted"}, True),
        ({"consent": False}, False),
        ({"consent": "denied"}, False),
        ({"consent": None}, False),
        ({"country": "SE"}, False),
        (None, False),
        ({"consent": "yes"}, None),
        ({"consent": 1}, None),
        ({"consent": 0.0}, None),
    ],
)
def test_consent_is_said_by_four_values_and_nothing_else(context, consent):
    assert consent_in(context) is consent


@pytest.mark.parametrize("context", [None, {"consent": False}, {"consent": "denied"}, {"country": "SE"}])
def test_an_event_without_consent_is_refused_where_the_site_asks_for_it(take, context):
    with pytest.raises(Rejection) as refused:
        take({**VIEW, "context": context}, REFUSE)
    assert (refused.value.code, refused.value.field) == ("no-consent", "context.consent")


@pytest.mark.parametrize("allowed", [REFUSE, ANONYMOUS])
def test_an_event_with_consent_is_kept_as_it_is(take, allowed):
    raw = {**VIEW, "context": {"consent": "granted", "page": "shop"}}
    assert take(raw, allowed) == take(raw, policy())


@pytest.mark.parametrize("allowed", [REFUSE, ANONYMOUS])
def test_what_cannot_be_read_as_consent_is_refused(take, allowed):
    with pytest.raises(Rejection, match="true or granted") as refused:
        take({**VIEW, "context": {"consent": "perhaps"}}, allowed)
    assert refused.value.code == "consent-value"


@pytest.mark.parametrize("allowed", [REFUSE, ANONYMOUS])
def test_an_erasure_needs_no_consent(take, allowed):
    forget = {"type": "forget", "user_id": "ann", "event_id": "f"}
    assert decode_event(take(forget, allowed).entry.value).user_id == "ann"


@pytest.mark.parametrize("kind", sorted(NEEDS_IDS))
def test_what_says_nothing_without_ids_is_refused(take, kind):
    with pytest.raises(Rejection, match=f"type {kind} says nothing without them"):
        take({**VIEW, "type": kind, **NEEDED}, ANONYMOUS)


def test_nothing_of_the_person_is_left_of_an_event_without_consent(take):
    raw = {
        **VIEW,
        "recommendation_id": "answer-of-ann",
        "position": 3,
        "context": {"country": "SE", "device": "phone", "page": "/home?user=ann", "ip": "203.0.113.77"},
        "properties": {"basket_id": "basket-of-ann", "scroll": 0.5, "note": {"by": "ann"}},
    }
    accepted = take(raw, ANONYMOUS)
    kept = decode_event(accepted.entry.value)
    assert (kept.user_id, kept.anonymous_id, kept.unlinked) == (None, None, True)
    assert (kept.item_id, kept.position, kept.context, kept.properties) == (
        "portal-2",
        3,
        {"country": "SE", "device": "phone"},
        {"scroll": 0.5},
    )
    written = accepted.entry.key + accepted.entry.value
    assert not [text for text in (b"ann", b"guest-7", b"visit-3", b'e1"', b"basket", b"203.0") if text in written]
    assert accepted.id == "e1"


def test_a_repeat_of_an_event_without_ids_is_the_same_record_and_another_event_is_not(take):
    first, again, other = (take({**VIEW, "event_id": name}, ANONYMOUS).entry for name in ("e1", "e1", "e2"))
    assert first == again
    assert first.key != other.key


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.text(), st.integers(-9, 9), st.booleans()), max_size=8))
def test_of_the_context_nothing_but_the_named_members_is_kept(context):
    context.pop("consent", None)
    raw = {**VIEW, "context": context}
    try:
        kept = decode_event(validate_event(raw, _NOON, str, ANONYMOUS).entry.value)
    except Rejection:
        return
    assert set(kept.context or ()) <= KEPT_CONTEXT


@pytest.mark.parametrize("allowed", [REFUSE, ANONYMOUS])
def test_a_row_of_a_data_set_is_judged_by_the_same_rule(noon, allowed):
    plain = {"event_id": "e", "type": "like", "user_id": "ann", "item_id": "doom", "occurred_at": noon}
    assert accept_simple_event(plain, noon, policy()) is not None
    assert accept_simple_event(plain, noon, allowed) is None
