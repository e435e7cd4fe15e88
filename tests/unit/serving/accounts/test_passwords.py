"""Passwords: which are taken, and how they are checked."""

from __future__ import annotations

import asyncio

import pytest

from schemas.errors import ConfigurationInvalid
from serving.accounts import passwords

RIGHT = "a long enough one"


@pytest.mark.parametrize("password", ["short", "x" * 257, "aaaaaaaaaaaaaaaa", "Anna-2026-secret"])
def test_a_password_that_is_easy_to_guess_is_refused(password):
    with pytest.raises(ConfigurationInvalid):
        passwords.checked_password(password, "anna")


def test_a_password_is_stored_as_an_argon2id_hash_with_its_own_salt():
    first, second = passwords.hash_password(RIGHT), passwords.hash_password(RIGHT)
    assert first.startswith("$argon2id$")
    assert first != second
    assert RIGHT not in first


def test_only_the_right_password_is_verified():
    hashed = passwords.hash_password(RIGHT)
    checks = passwords.PasswordChecks()
    assert asyncio.run(checks.verify(hashed, RIGHT))
    assert not asyncio.run(checks.verify(hashed, RIGHT + " "))
    assert not asyncio.run(checks.verify(hashed, "x" * 10_000))


@pytest.mark.parametrize("password_hash", ["", "junk", "$argon2id$v=19$m=8$broken"])
def test_an_account_without_a_password_is_signed_in_by_none(password_hash):
    assert not passwords.verify_password(password_hash, "the password of nobody")
