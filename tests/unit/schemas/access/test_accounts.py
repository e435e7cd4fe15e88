"""Accounts of people: their records, roles, and which of them an identity signs in to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.access import accounts
from schemas.access.accounts import Account, Role
from schemas.access.scopes import Scope
from schemas.access.view import AccessView, with_records
from schemas.errors import ConfigurationInvalid, Undecodable
from schemas.log.records import Record
from schemas.log.topics import ACCESS

NOW = 1_000.0
ISSUER = "https://login.example"

names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True)


def account(name: str = "anna", role: Role = Role.EDITOR, **fields) -> Account:
    return accounts.new_account(name, role, NOW, password_hash=fields.pop("password_hash", "hash"), **fields)


def record(account: Account, offset: int = 0) -> Record:
    entry = accounts.account_entry(account)
    return Record(ACCESS, 0, offset, 0, entry.key, entry.value)


@given(names, st.sampled_from(Role), st.floats(0, 1e10), st.text(max_size=20))
def test_an_account_is_read_as_it_was_written(name, role, now, password_hash):
    made = accounts.new_account(name, role, now, password_hash=password_hash or "x", email="a@b.example")
    assert accounts.decode_account(record(made).value) == made
    assert accounts.name_of_record(record(made).key) == made.name


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"type":"key"}', b"null"])
def test_what_is_no_account_is_refused(value):
    with pytest.raises(Undecodable):
        accounts.decode_account(value)


@pytest.mark.parametrize("name", ["", " ", "a b", "ä", "-a", "a/", "a" * 65, "a\nb"])
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(ConfigurationInvalid):
        account(name)


def test_an_account_without_a_way_to_sign_in_is_refused():
    with pytest.raises(ConfigurationInvalid):
        accounts.new_account("anna", Role.ADMIN, NOW)


def test_each_role_may_do_what_the_one_below_may_and_only_admins_are_admin():
    assert accounts.ROLE_SCOPES[Role.VIEWER] < accounts.ROLE_SCOPES[Role.EDITOR]
    assert [role for role in Role if Scope.ADMIN in accounts.ROLE_SCOPES[role]] == [Role.ADMIN]
    assert not {scope for scope in accounts.ROLE_SCOPES[Role.VIEWER] if scope.endswith(":write")}


@pytest.mark.parametrize(
    "change",
    [
        lambda a: accounts.with_password(a, "other", NOW + 10),
        lambda a: accounts.without_sessions(a, NOW + 10),
        lambda a: accounts.disabled(a, NOW + 10),
        lambda a: accounts.enabled(accounts.disabled(a, NOW + 5), NOW + 10),
    ],
)
def test_a_change_that_locks_somebody_out_ends_the_sessions(change):
    before = account()
    assert before.accepts_session(NOW + 1)
    assert not change(before).accepts_session(NOW + 1)


def test_another_role_counts_at_once_and_ends_no_session():
    viewer = accounts.with_role(account(role=Role.ADMIN), Role.VIEWER)
    assert viewer.accepts_session(NOW + 1)
    assert Scope.ADMIN not in viewer.scopes


def test_an_identity_signs_in_by_its_verified_address_once_and_then_by_its_subject_alone():
    invited = account("anna", email="Anna@Shop.example")
    everybody = {"anna": invited, "bert": account("bert")}
    assert accounts.account_of_identity(everybody, ISSUER, "1", "anna@shop.example") == invited
    assert accounts.account_of_identity(everybody, ISSUER, "1", "") is None
    bound = accounts.with_identity(invited, ISSUER, "1")
    everybody["anna"] = bound
    assert accounts.account_of_identity(everybody, ISSUER, "1", "new@shop.example") == bound
    assert accounts.account_of_identity(everybody, ISSUER, "2", "anna@shop.example") is None
    assert accounts.account_of_identity(everybody, "https://other.example", "1", "") is None


def test_the_last_enabled_admin_is_known():
    everybody = {"anna": account("anna", Role.ADMIN), "bert": account("bert", Role.ADMIN)}
    assert not accounts.is_last_admin(everybody, "anna")
    everybody["bert"] = accounts.disabled(everybody["bert"], NOW)
    assert accounts.is_last_admin(everybody, "anna")


def test_an_account_whose_record_cannot_be_read_is_gone_and_access_stays_closed():
    view = with_records(AccessView(), [record(account())])
    assert view.accounts == {"anna": account()}
    broken = Record(ACCESS, 0, 1, 0, b"account:anna", b"junk")
    assert with_records(view, [broken]).accounts == {}
    assert with_records(AccessView(), [broken]).had_keys


def test_a_record_cannot_name_another_account_than_its_key_does():
    forged = Record(ACCESS, 0, 0, 0, b"account:bert", record(account()).value)
    assert with_records(AccessView(), [forged]).accounts == {}
