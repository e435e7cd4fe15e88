"""Signatures: of requests and of users' tokens."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.access import signing

SECRET = signing.signing_secret(b"the site's own secret", "frk_000000000001")


def test_the_secret_of_a_key_is_an_hmac_of_its_id():
    expected = hmac.new(b"the site's own secret", b"freshet signing frk_000000000001", hashlib.sha256).hexdigest()
    assert expected == SECRET


def test_a_signature_is_the_hmac_that_the_recipe_says():
    signed = "POST\n/v1/events?a=1\n1700000000\nabcdefgh\n" + hashlib.sha256(b"{}").hexdigest()
    expected = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    assert signing.request_signature(SECRET, "post", "/v1/events?a=1", "1700000000", "abcdefgh", b"{}") == expected


@given(st.sampled_from(["method", "target", "timestamp", "nonce", "body", "secret"]))
def test_whoever_changes_any_part_breaks_the_signature(part):
    parts = {"method": "POST", "target": "/v1/events", "timestamp": "1700000000", "nonce": "abcdefgh", "body": b"{}"}
    signature = signing.request_signature(SECRET, **parts)
    changed = {"method": "PUT", "target": "/v1/items", "timestamp": "1700000001", "nonce": "abcdefgi", "body": b"[]"}
    now = parts | ({part: changed[part]} if part != "secret" else {})
    sent = signing.RequestSignature("frk_1", now["timestamp"], now["nonce"], signature)
    secret = "another" if part == "secret" else SECRET
    assert not signing.is_signed(secret, sent, now["method"], now["target"], now["body"])
    unchanged = signing.RequestSignature("frk_1", parts["timestamp"], parts["nonce"], signature)
    assert signing.is_signed(SECRET, unchanged, "POST", "/v1/events", b"{}")


def test_a_header_is_read_and_other_texts_are_not():
    header = "Freshet-HMAC-SHA256 key=frk_1, timestamp=1700000000, nonce=abcdefgh, signature=00ff"
    assert signing.parse_signature(header) == ("frk_1", "1700000000", "abcdefgh", "00ff")
    for broken in (
        header.replace("nonce=abcdefgh, ", ""),
        header.replace("1700000000", "soon"),
        header.replace("abcdefgh", "short"),
        "Bearer frk_1",
        "",
    ):
        assert signing.parse_signature(broken) is None


@given(st.text(max_size=200))
def test_no_header_makes_reading_fail(text):
    signing.parse_signature(f"{signing.SCHEME} {text}")
    signing.parse_user_token(text)


def test_a_nonce_counts_once_within_the_window_of_both_clocks():
    nonces = signing.Nonces(window=10)
    assert nonces.is_new("a", "n", 0.0)
    assert not nonces.is_new("a", "n", 19.0)
    assert nonces.is_new("b", "n", 19.0)
    assert nonces.is_new("a", "n", 20.0)


def test_nonces_are_bounded_and_a_full_memory_refuses_instead_of_forgetting():
    nonces = signing.Nonces(window=10, limit=2)
    assert [nonces.is_new("a", str(number), 0.0) for number in range(3)] == [True, True, False]
    assert nonces.is_new("a", "later", 20.0)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30), st.integers(0, 10**9))
def test_a_token_is_of_its_user_alone(user, other, expires_at):
    token = signing.parse_user_token(signing.make_user_token(SECRET, "frk_1", user, expires_at))
    assert token.is_valid(SECRET, user, expires_at - 1)
    assert not token.is_valid(SECRET, user, expires_at)
    assert token.is_valid(SECRET, other, expires_at - 1) == (user == other)


@pytest.mark.parametrize("user", ["a\nb", "a.b", "ö", "user-token\n1\nx"])
def test_no_id_of_a_user_looks_like_another_token(user):
    token = signing.parse_user_token(signing.make_user_token(SECRET, "frk_1", user, 100))
    assert token.is_valid(SECRET, user, 1)
