"""Sessions of people, and their tokens against forged requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.access import accounts
from schemas.access.accounts import Role
from schemas.access.scopes import Scope
from schemas.access.sessions import LoginSession, SessionSigner, person_of
from schemas.errors import ConfigurationInvalid

SECRET = b"0123456789abcdef" * 2
OTHER = b"fedcba9876543210" * 2
HOUR = 3_600.0
NOW = 1_000_000.0
SIGNER = SessionSigner(SECRET)
SESSION = LoginSession("s1", "anna", NOW)


@given(st.text(max_size=30), st.text(max_size=30), st.floats(0, 1e9), st.floats(0, 2 * HOUR))
def test_a_session_is_read_back_until_its_lifetime_is_over(id_, account, began_at, age):
    session = LoginSession(id_, account, began_at)
    found = SIGNER.read(SIGNER.write(session), began_at + age, HOUR)
    assert found == (session if began_at + age < began_at + HOUR else None)


@given(st.text(max_size=200))
def test_a_text_that_nobody_signed_is_no_session(text):
    assert SIGNER.read(text, NOW, HOUR) is None


@given(st.integers(0), st.integers(1, 255))
def test_a_session_with_one_changed_byte_is_refused(position, change):
    text = bytearray(SIGNER.write(SESSION), "ascii")
    text[position % len(text)] ^= change
    changed = text.decode("latin-1")
    # The last character of base64 holds unused bits, which may differ without changing the value.
    assert SIGNER.read(changed, NOW, HOUR) in (None, SESSION)
    if position % len(text) < len(text) - 1:
        assert SIGNER.read(changed, NOW, HOUR) is None


def test_a_session_of_another_secret_from_the_future_or_too_long_is_refused():
    assert SessionSigner(OTHER).read(SIGNER.write(SESSION), NOW, HOUR) is None
    assert SIGNER.read(SIGNER.write(SESSION), NOW - 1, HOUR) is None
    long = SESSION._replace(id="".join(map(str, range(1_000))))
    assert SIGNER.read(SIGNER.write(long), NOW, HOUR) is None


def test_a_short_secret_is_refused_with_what_to_do():
    with pytest.raises(ConfigurationInvalid, match="openssl rand -hex 32"):
        SessionSigner(b"short")


def test_the_token_of_a_session_is_that_of_no_other():
    token = SIGNER.csrf_token(SESSION)
    assert SIGNER.has_csrf_token(SESSION, token)
    assert not SIGNER.has_csrf_token(SESSION._replace(id="s2"), token)
    assert not SessionSigner(OTHER).has_csrf_token(SESSION, token)
    assert not SIGNER.has_csrf_token(SESSION, "")
    assert not SIGNER.has_csrf_token(SESSION, "\udcff")


def test_a_person_has_the_rights_that_the_record_has_now():
    anna = accounts.new_account("anna", Role.EDITOR, NOW - 1, password_hash="hash")
    assert person_of(SESSION, {"anna": anna}).scopes == accounts.ROLE_SCOPES[Role.EDITOR]
    promoted = accounts.with_role(anna, Role.ADMIN)
    assert person_of(SESSION, {"anna": promoted}).has(Scope.ADMIN)


def test_a_session_of_a_gone_or_disabled_account_counts_for_nothing():
    anna = accounts.new_account("anna", Role.EDITOR, NOW - 1, password_hash="hash")
    assert person_of(SESSION, {}) is None
    assert person_of(SESSION, {"anna": accounts.disabled(anna, NOW)}) is None
    assert person_of(SESSION, {"anna": accounts.with_password(anna, "other", NOW + 1)}) is None
