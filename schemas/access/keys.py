"""Keys: their text, the record on the topic ``access`` that keeps only a digest, and their life.

A key has 256 random bits, so one SHA-256 protects it: no one can try them all. A slow hash such as argon2 is for what
people choose and remember; here it would cost every request milliseconds and add nothing.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from schemas.access.scopes import Scope
from schemas.errors import ConfigurationInvalid, Undecodable
from schemas.log.records import LogEntry

PREFIX: Final = "frk_"
"""Begins every key, so that scanners for secrets find keys in code and logs."""
ID_BYTES: Final = 6
SECRET_BYTES: Final = 32
ENTROPY_BYTES: Final = ID_BYTES + SECRET_BYTES
LONGEST: Final = 128
"""Characters of a text that may be a key; a longer one is not looked at."""
_ID_LENGTH: Final = len(PREFIX) + 2 * ID_BYTES


class AccessKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="key"):
    """The record of a key. Times are seconds since 1970; ``digest`` is the SHA-256 of the key's text, in hex."""

    id: str
    digest: str
    scopes: tuple[Scope, ...]
    created_at: float
    name: str = ""
    """Who uses it, for people."""
    origins: tuple[str, ...] = ()
    """Origins of the pages that may use it. A key with origins is public: browsers show it to everybody."""
    needs_user_token: bool = False
    """True: whatever names a user, an event too, needs a signed token of that user."""
    expires_at: float | None = None
    rotated_from: str | None = None
    """The id of the key that this one replaces."""
    revoked_at: float | None = None

    def is_live(self, now: float) -> bool:
        """True if the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def is_public(self) -> bool:
        """True if browsers send the key."""
        return bool(self.origins)

    @property
    def only_sends_events(self) -> bool:
        """True if the key may do nothing but send events. Only such a key may stand in an address."""
        return self.scopes == (Scope.EVENTS_WRITE,)

    def matches(self, text: str) -> bool:
        """True if this is the key's text, compared in constant time."""
        return hmac.compare_digest(self.digest, digest_of(text))


class NewKey(NamedTuple):
    """A key that was just made. Its text is known only here."""

    text: str
    record: AccessKey


def make_key(
    entropy: bytes,
    scopes: Sequence[Scope],
    now: float,
    *,
    name: str = "",
    origins: Sequence[str] = (),
    needs_user_token: bool = False,
    expires_at: float | None = None,
    rotated_from: str | None = None,
) -> NewKey:
    """Makes a key from ENTROPY_BYTES random bytes; raises ConfigurationInvalid for other than these, or without a scope."""
    if len(entropy) != ENTROPY_BYTES:
        raise ConfigurationInvalid(f"a key needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    if not scopes:
        raise ConfigurationInvalid(f"a key needs a scope: {', '.join(Scope)}")
    id_ = PREFIX + entropy[:ID_BYTES].hex()
    text = f"{id_}_{base64.urlsafe_b64encode(entropy[ID_BYTES:]).rstrip(b'=').decode()}"
    record = AccessKey(
        id=id_,
        digest=digest_of(text),
        scopes=tuple(scope for scope in Scope if scope in scopes),
        created_at=now,
        name=name,
        origins=tuple(dict.fromkeys(map(checked_origin, origins))),
        needs_user_token=needs_user_token,
        expires_at=expires_at,
        rotated_from=rotated_from,
    )
    return NewKey(text, record)


class Rotation(NamedTuple):
    """The key that takes over, and the record of the old one, which ends after the grace time."""

    new: NewKey
    old: AccessKey


def rotate(old: AccessKey, entropy: bytes, now: float, grace_seconds: float) -> Rotation:
    """Returns a new key with the rights of ``old``. Until the grace time has passed, both are live.

    Raises ConfigurationInvalid for a key that is not live.
    """
    if not old.is_live(now):
        raise ConfigurationInvalid(f"the key {old.id} is no longer live: create another with `freshet keys create`")
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    new = make_key(
        entropy,
        old.scopes,
        now,
        name=old.name,
        origins=old.origins,
        needs_user_token=old.needs_user_token,
        expires_at=None if lifetime is None else now + lifetime,
        rotated_from=old.id,
    )
    ends_at = now + grace_seconds
    ends_at = ends_at if old.expires_at is None else min(ends_at, old.expires_at)
    return Rotation(new, msgspec.structs.replace(old, expires_at=ends_at))


def revoke(key: AccessKey, now: float) -> AccessKey:
    """The record of the key from now on refused; the first revocation stays."""
    return key if key.revoked_at is not None else msgspec.structs.replace(key, revoked_at=now)


def digest_of(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def id_in(text: str) -> str | None:
    """The id that begins a key's text; None if the text does not look like a key."""
    if not text.startswith(PREFIX) or len(text) > LONGEST or text[_ID_LENGTH : _ID_LENGTH + 1] != "_":
        return None
    return text[:_ID_LENGTH]


def checked_origin(text: str) -> str:
    """The origin as browsers write it: ``https://shop.example``; raises ConfigurationInvalid for another text."""
    origin = text.strip().rstrip("/").lower()
    scheme, separator, host = origin.partition("://")
    if scheme not in {"http", "https"} or not separator or not host or any(mark in host for mark in "/?#@ *"):
        raise ConfigurationInvalid(
            f"'{text}' is not an origin: write scheme and host, such as https://shop.example, without a path or *"
        )
    return origin


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(AccessKey)
_RECORD_KEY: Final = b"key:"


def key_entry(key: AccessKey) -> LogEntry:
    """The record of a key, for the topic ``access``."""
    return LogEntry(_RECORD_KEY + key.id.encode(), _ENCODER.encode(key))


def id_of_record(record_key: bytes) -> str | None:
    """The id of the key that a record of the topic ``access`` is of; None for a record of another kind."""
    return (
        record_key.removeprefix(_RECORD_KEY).decode("utf-8", "replace") if record_key.startswith(_RECORD_KEY) else None
    )


def decode_key(value: bytes) -> AccessKey:
    """Reads a key's record; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a key: {error}") from error
