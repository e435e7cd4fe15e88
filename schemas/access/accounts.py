"""Accounts of the people who run a site: their roles, and the record on the topic ``access`` that keeps them.

An account has a password, or it signs in with an OpenID Connect provider, or both. The record holds no password: only the
hash that ``argon2`` made of it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from schemas.access.scopes import Scope
from schemas.errors import ConfigurationInvalid, Undecodable
from schemas.log.records import LogEntry


class Role(StrEnum):
    """What a person may do, from little to everything."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


_VIEWER: Final = frozenset({Scope.RECOMMENDATIONS_READ, Scope.USERS_READ, Scope.METRICS_READ})

ROLE_SCOPES: Final = {
    Role.VIEWER: _VIEWER,
    Role.EDITOR: _VIEWER | {Scope.EVENTS_WRITE, Scope.CATALOGUE_WRITE, Scope.USERS_WRITE},
    Role.ADMIN: frozenset({Scope.ADMIN}),
}
"""The scopes of each role."""

MAX_NAME: Final = 64
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]*[a-z0-9])?")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="account"):
    """The record of a person's account. Times are seconds since 1970."""

    name: str
    role: Role
    created_at: float
    password_hash: str = ""
    """As argon2 encodes it, with its parameters and salt; empty if the account has no password."""
    email: str = ""
    """The address that a provider must have verified at the first sign-in; empty if the account has a password alone."""
    identity: str = ""
    """``<issuer> <subject>`` of the provider, noted at the first sign-in. From then on it counts, and the address no longer."""
    disabled_at: float | None = None
    sessions_from: float = 0.0
    """Sessions that began before this time have ended."""

    @property
    def is_enabled(self) -> bool:
        """True if the person may sign in."""
        return self.disabled_at is None

    @property
    def scopes(self) -> frozenset[Scope]:
        """The scopes of the account's role."""
        return ROLE_SCOPES[self.role]

    def accepts_session(self, began_at: float) -> bool:
        """True if a session that began at this time still counts."""
        return self.is_enabled and began_at >= self.sessions_from


def new_account(name: str, role: Role, now: float, *, password_hash: str = "", email: str = "") -> Account:
    """A new account; raises ConfigurationInvalid for a name or an address of another form, or without a way to sign in."""
    if not (password_hash or email):
        raise ConfigurationInvalid(f"{name} could not sign in: give the account a password, or an e-mail address")
    return Account(
        name=checked_name(name),
        role=role,
        created_at=now,
        password_hash=password_hash,
        email=checked_email(email) if email else "",
        sessions_from=now,
    )


def with_password(account: Account, password_hash: str, now: float) -> Account:
    """The account with another password. Its sessions end."""
    return msgspec.structs.replace(account, password_hash=password_hash, sessions_from=now)


def with_role(account: Account, role: Role) -> Account:
    """The account with another role. It counts at once, also in sessions that began before."""
    return msgspec.structs.replace(account, role=role)


def with_identity(account: Account, issuer: str, subject: str) -> Account:
    """The account bound to one identity of a provider."""
    return msgspec.structs.replace(account, identity=identity_of(issuer, subject))


def without_sessions(account: Account, now: float) -> Account:
    """The account whose sessions have all ended."""
    return msgspec.structs.replace(account, sessions_from=now)


def disabled(account: Account, now: float) -> Account:
    """The account that can no longer sign in; its sessions have ended. The first time stays."""
    return account if account.disabled_at is not None else msgspec.structs.replace(account, disabled_at=now)


def enabled(account: Account, now: float) -> Account:
    """The account that may sign in again, with new sessions alone."""
    return msgspec.structs.replace(account, disabled_at=None, sessions_from=now)


def is_last_admin(accounts: dict[str, Account], name: str) -> bool:
    """True if this is the only enabled account with the role admin."""
    admins = [account.name for account in accounts.values() if account.is_enabled and account.role is Role.ADMIN]
    return admins == [name]


def account_of_identity(accounts: dict[str, Account], issuer: str, subject: str, verified_email: str) -> Account | None:
    """The account that a provider's identity signs in to; None if there is none.

    An account that is bound to an identity is found by it alone, because an address can get another owner.
    """
    identity = identity_of(issuer, subject)
    bound = next((account for account in accounts.values() if account.identity == identity), None)
    if bound is not None or not verified_email:
        return bound
    email = verified_email.strip().lower()
    return next((a for a in accounts.values() if not a.identity and a.email and a.email == email), None)


def identity_of(issuer: str, subject: str) -> str:
    """The name of an identity: a provider's subjects are unique only within it."""
    return f"{issuer} {subject}"


def checked_name(name: str) -> str:
    """The name in lower case; raises ConfigurationInvalid if it has another form."""
    lowered = name.strip().lower()
    if len(lowered) > MAX_NAME or not _NAME.fullmatch(lowered):
        raise ConfigurationInvalid(
            f"'{name}' is no name of an account: write 1 to {MAX_NAME} letters, digits, dots, dashes, _ + or @"
        )
    return lowered


def checked_email(email: str) -> str:
    """The address in lower case; raises ConfigurationInvalid if it is none."""
    lowered = email.strip().lower()
    if len(lowered) > 254 or not _EMAIL.fullmatch(lowered):
        raise ConfigurationInvalid(f"'{email}' is no e-mail address: write one such as anna@shop.example")
    return lowered


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Account)
_RECORD_KEY: Final = b"account:"


def account_entry(account: Account) -> LogEntry:
    """The record of an account, for the topic ``access``."""
    return LogEntry(_RECORD_KEY + account.name.encode(), _ENCODER.encode(account))


def name_of_record(record_key: bytes) -> str | None:
    """The name of the account that a record of the topic ``access`` is of; None for a record of another kind."""
    if not record_key.startswith(_RECORD_KEY):
        return None
    return record_key.removeprefix(_RECORD_KEY).decode("utf-8", "replace")


def decode_account(value: bytes) -> Account:
    """Reads an account's record; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not an account: {error}") from error
