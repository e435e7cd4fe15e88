from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.validation import validate
from ingest.validation.fast_path import accept_simple_event
from ingest.validation.validate import Rejection, policy, validate_event
from schemas.values.ids import is_placeholder, placeholder_set

VIEW = {"event_id": "e", "type": "view", "user_id": "ann", "item_id": "portal-2"}
NO_IDS = [
    "",
    " ",
    "\t",
    "\u3000",
    "\u200b",
    " ann",
    "ann ",
    "ann\u00a0",
    "\ufeffann",
    "[object Object]",
    "[object Null]",
]
PLACEHOLDERS = [
    *("undefined", "null", "NULL", "None", "NaN", "nil", "0", "000", "0.0", "-", "true", "(null)", '"undefined"'),
    *("<null>", "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "N/A"),
]


@pytest.fixture
def take(noon):
    return lambda raw, **site: validate_event(raw, noon, lambda: "made-here", policy(**site))


@pytest.mark.parametrize("field", ["user_id", "item_id", "anonymous_id", "session_id", "event_id", "recommendation_id"])
@pytest.mark.parametrize("text", NO_IDS)
def test_blanks_and_objects_are_no_ids(take, field, text):
    with pytest.raises(Rejection) as refused:
        take({**VIEW, field: text})
    assert refused.value.field == field


def test_what_is_wrong_with_an_id_is_said_in_words(take):
    with pytest.raises(Rejection, match="begins or ends with a blank"):
        take({**VIEW, "item_id": "portal-2 "})
    with pytest.raises(Rejection, match="what JavaScript writes for an object"):
        take({**VIEW, "impression": ["[object Object]"]})


@pytest.mark.parametrize("text", NO_IDS)
def test_items_and_users_have_no_such_ids_either(noon, text):
    with pytest.raises(Rejection):
        validate.put_item(text, {}, noon)
    with pytest.raises(Rejection):
        validate.validate_item({"item_id": text}, noon)
    with pytest.raises(Rejection):
        validate.put_user(text, {}, noon, policy())


@pytest.mark.parametrize("field", ["anonymous_id", "session_id"])
@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder_is_no_guest_and_no_session(take, noon, field, text):
    raw = {**VIEW, field: text}
    with pytest.raises(Rejection) as refused:
        take(raw)
    assert (refused.value.field, refused.value.code) == (field, "placeholder-id")
    assert accept_simple_event(raw, noon, policy()) is None


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_identify_links_no_placeholder(take, text):
    for user, guest, field in ((text, "guest-9", "user_id"), ("ann", text, "anonymous_id")):
        with pytest.raises(Rejection) as refused:
            take({"type": "identify", "user_id": user, "anonymous_id": guest})
        assert refused.value.field == field


@pytest.mark.parametrize("text", ["0", "null", "nan", "NULL", "NA", "None", "undefined"])
def test_a_user_or_an_item_may_be_called_like_a_placeholder(take, text):
    assert take({**VIEW, "user_id": text, "item_id": text})


@pytest.mark.parametrize("text", ["guest-7", "10", "0a", "nullable", "Nan Goldin", "a b", "[x]", "object Object", "é"])
def test_ordinary_ids_are_taken(take, text):
    assert take({**VIEW, "anonymous_id": text, "session_id": text, "item_id": text})


def test_a_site_names_its_own_placeholders(take):
    guest = {**VIEW, "anonymous_id": "Cookies-Refused", "session_id": "null"}
    assert take(guest, placeholders=())
    with pytest.raises(Rejection, match="Cookies-Refused"):
        take(guest, placeholders=["cookies-refused"])


@given(st.sampled_from(PLACEHOLDERS), st.sampled_from(["", " ", '"', "'"]))
def test_case_quotes_and_blanks_make_no_id_of_a_placeholder(text, around):
    known = placeholder_set()
    assert is_placeholder(f"{around}{text}{around}", known)
    assert is_placeholder(text.swapcase(), known)
