"""Keys: their text, their record, and their life."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.access import keys
from schemas.access.scopes import Scope
from schemas.errors import ConfigurationInvalid, Undecodable

NOW = 1_000_000.0
ENTROPY = st.binary(min_size=keys.ENTROPY_BYTES, max_size=keys.ENTROPY_BYTES)
SCOPES = st.lists(st.sampled_from(list(Scope)), min_size=1)


def made(entropy: bytes = bytes(range(keys.ENTROPY_BYTES)), **fields) -> keys.NewKey:
    return keys.make_key(entropy, fields.pop("scopes", [Scope.EVENTS_WRITE]), NOW, **fields)


@given(ENTROPY, SCOPES)
def test_the_record_recognises_its_key_and_does_not_hold_it(entropy, scopes):
    new = keys.make_key(entropy, scopes, NOW)
    secret = new.text.removeprefix(f"{new.record.id}_")
    assert new.record.matches(new.text)
    assert keys.id_in(new.text) == new.record.id
    assert secret not in keys.key_entry(new.record).value.decode()
    assert set(new.record.scopes) == set(scopes)


@given(ENTROPY, st.text(max_size=200))
def test_another_text_is_not_the_key(entropy, text):
    new = keys.make_key(entropy, [Scope.ADMIN], NOW)
    assert new.record.matches(text) == (text == new.text)


@given(ENTROPY, SCOPES, st.none() | st.floats(NOW, 2 * NOW))
def test_a_record_comes_back_from_the_log_as_it_was(entropy, scopes, expires_at):
    record = keys.make_key(entropy, scopes, NOW, name="shop", origins=["https://shop.example"], expires_at=expires_at)
    entry = keys.key_entry(record.record)
    assert keys.decode_key(entry.value) == record.record
    assert keys.id_of_record(entry.key) == record.record.id


def test_a_key_ends_when_it_expires_or_is_revoked():
    key = made(expires_at=NOW + 10).record
    assert key.is_live(NOW + 9.9)
    assert not key.is_live(NOW + 10)
    assert not keys.revoke(key, NOW + 1).is_live(NOW + 2)
    assert keys.revoke(keys.revoke(key, NOW + 1), NOW + 5).revoked_at == NOW + 1


@given(ENTROPY, st.integers(0, 1_000_000), st.integers(0, 1_000_000))
def test_both_keys_of_a_rotation_are_live_until_the_grace_time_has_passed(entropy, grace, later):
    old = made(scopes=[Scope.RECOMMENDATIONS_READ], name="app").record
    rotation = keys.rotate(old, entropy, NOW, grace)
    assert rotation.new.record.is_live(NOW + later)
    assert rotation.old.is_live(NOW + later) == (later < grace)
    assert rotation.new.record.rotated_from == old.id
    assert (rotation.new.record.scopes, rotation.new.record.name) == (old.scopes, old.name)


def test_a_rotation_never_prolongs_the_old_key_and_gives_the_new_one_its_lifetime():
    rotation = keys.rotate(made(expires_at=NOW + 100).record, b"x" * keys.ENTROPY_BYTES, NOW + 50, 1_000)
    assert rotation.old.expires_at == NOW + 100
    assert rotation.new.record.expires_at == NOW + 150


def test_a_key_that_has_ended_is_not_rotated():
    with pytest.raises(ConfigurationInvalid, match="no longer live"):
        keys.rotate(keys.revoke(made().record, NOW), b"x" * keys.ENTROPY_BYTES, NOW, 60)


@pytest.mark.parametrize(
    "text", ["shop.example", "https://", "https://shop.example/path", "*", "https://*.example", "null"]
)
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ConfigurationInvalid, match="not an origin"):
        made(origins=[text])


def test_an_origin_is_kept_as_browsers_write_it():
    assert made(origins=["HTTPS://Shop.Example:8443/"]).record.origins == ("https://shop.example:8443",)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"type": "person"}', b"\xff", b'{"type":"key","id":1}'])
def test_bytes_that_are_no_key_are_refused(value):
    with pytest.raises(Undecodable):
        keys.decode_key(value)


def test_a_key_needs_all_its_random_bytes_and_a_scope():
    with pytest.raises(ConfigurationInvalid, match="random bytes"):
        keys.make_key(b"short", [Scope.ADMIN], NOW)
    with pytest.raises(ConfigurationInvalid, match="needs a scope"):
        made(scopes=[])


def test_only_a_key_with_no_other_scope_only_sends_events():
    assert made().record.only_sends_events
    assert not made(scopes=[Scope.EVENTS_WRITE, Scope.USERS_READ]).record.only_sends_events


def test_defaults_take_no_room_on_the_log():
    assert set(msgspec.json.decode(keys.key_entry(made().record).value)) == {
        "type",
        "id",
        "digest",
        "scopes",
        "created_at",
    }
