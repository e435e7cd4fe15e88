"""What a site with a pepper keeps in place of ids."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.values.ids import Id
from schemas.values.pseudonyms import Pseudonyms, is_pseudonym

PEPPER = b"p" * 32
PSEUDONYMS = Pseudonyms(PEPPER)
ID = TypeAdapter(Id)


def is_valid(text: object) -> bool:
    try:
        ID.validate_python(text)
    except ValidationError:
        return False
    return True


@given(st.text(min_size=1, max_size=130))
def test_a_pseudonym_is_an_id_itself_and_hmac_sha_256_of_the_id(text):
    if not PSEUDONYMS.is_id("user_id", text):
        return
    pseudonym = PSEUDONYMS.of(text)
    assert is_valid(pseudonym)
    assert is_pseudonym(pseudonym)
    assert urlsafe_b64decode(pseudonym + "=") == hmac.new(PEPPER, b"id\n" + text.encode(), hashlib.sha256).digest()


@given(st.one_of(st.text(max_size=130), st.integers(), st.none()))
def test_exactly_what_validation_takes_for_an_id_is_replaced(value):
    assert PSEUDONYMS.is_id("user_id", value) == is_valid(value)


@pytest.mark.parametrize("value", ["undefined", "NULL", "0", "(not set)"])
def test_a_text_that_stands_for_no_id_stays_for_whoever_refuses_it(value):
    fields = {"anonymous_id": value, "session_id": value, "user_id": "ann", "item_id": "i"}
    assert PSEUDONYMS.in_fields(fields) == {"user_id": PSEUDONYMS.of("ann")}


def test_another_pepper_gives_other_pseudonyms_and_another_check():
    other = Pseudonyms(b"q" * 32)
    assert other.of("ann") != PSEUDONYMS.of("ann")
    assert other.check != PSEUDONYMS.check
    assert PEPPER.decode() not in PSEUDONYMS.check
