"""Signatures by HMAC-SHA256: of requests, and of tokens that say which user a browser speaks for.

A signature needs a secret that both sides know. The log keeps only digests of keys, so the secret of a key is derived from
the site's own secret (``FRESHET_ACCESS_SECRET``) and the key's id: nothing on the log lets anybody sign.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from hashlib import sha256
from typing import Final, NamedTuple

SCHEME: Final = "Freshet-HMAC-SHA256"
"""The scheme of the Authorization header of a signed request."""
WINDOW_SECONDS: Final = 300.0
"""How far the time of a signed request may be from the server's clock."""
MAX_NONCES: Final = 100_000
"""Signed requests that are remembered within the window, to refuse a repetition."""
LONGEST_TOKEN_SECONDS: Final = 7 * 86_400.0
"""Longest time for which a user's token may be valid."""
_NONCE_LENGTHS: Final = range(8, 65)


def signing_secret(site_secret: bytes, key_id: str) -> str:
    """The secret with which a key signs, in hex. The HMAC is taken with these characters, as text."""
    return hmac.new(site_secret, f"freshet signing {key_id}".encode(), sha256).hexdigest()


class RequestSignature(NamedTuple):
    """The parts of the Authorization header of a signed request."""

    key_id: str
    timestamp: str
    """Seconds since 1970, in decimal digits."""
    nonce: str
    signature: str


def parse_signature(header: str) -> RequestSignature | None:
    """Reads ``Freshet-HMAC-SHA256 key=…, timestamp=…, nonce=…, signature=…``; None for another text."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != SCHEME.lower():
        return None
    pairs = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    try:
        parsed = RequestSignature(pairs["key"], pairs["timestamp"], pairs["nonce"], pairs["signature"])
    except KeyError:
        return None
    is_number = parsed.timestamp.isascii() and parsed.timestamp.isdigit() and len(parsed.timestamp) <= 12
    return parsed if is_number and len(parsed.nonce) in _NONCE_LENGTHS else None


def request_signature(secret: str, method: str, target: str, timestamp: str, nonce: str, body: bytes) -> str:
    """The signature of a request, in hex. ``target`` is the path with its query, as it is sent."""
    signed = "\n".join((method.upper(), target, timestamp, nonce, sha256(body).hexdigest()))
    return _mac(secret, signed)


def is_signed(secret: str, signature: RequestSignature, method: str, target: str, body: bytes) -> bool:
    """True if the signature is of this request; compared in constant time."""
    expected = request_signature(secret, method, target, signature.timestamp, signature.nonce, body)
    return hmac.compare_digest(expected.encode(), signature.signature.encode("utf-8", "replace"))


class Nonces:
    """The signed requests of the last window, so that none counts twice. For one event loop."""

    def __init__(self, window: float = WINDOW_SECONDS, limit: int = MAX_NONCES) -> None:
        self._window, self._limit = window, limit
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()

    def is_new(self, key_id: str, nonce: str, now: float) -> bool:
        """Remembers a nonce; False if it was seen within the window, or if there is no room to remember it."""
        while self._seen and next(iter(self._seen.values())) <= now:
            self._seen.popitem(last=False)
        if (key_id, nonce) in self._seen or len(self._seen) >= self._limit:
            return False
        # A time-stamp may be a window ahead, so its request could come again for two windows.
        self._seen[key_id, nonce] = now + 2 * self._window
        return True


def make_user_token(secret: str, key_id: str, user_id: str, expires_at: int) -> str:
    """A token that lets its bearer read what is said of one user: ``<key id>.<expiry>.<signature>``."""
    return f"{key_id}.{expires_at}.{_user_signature(secret, user_id, str(expires_at))}"


class UserToken(NamedTuple):
    """The parts of a user's token."""

    key_id: str
    expires_at: str
    signature: str

    def is_valid(self, secret: str, user_id: str, now: float) -> bool:
        """True if the token is of this user, signed with this secret, and not expired."""
        expected = _user_signature(secret, user_id, self.expires_at)
        is_ours = hmac.compare_digest(expected.encode(), self.signature.encode("utf-8", "replace"))
        return is_ours and now < int(self.expires_at) <= now + LONGEST_TOKEN_SECONDS


def parse_user_token(text: str) -> UserToken | None:
    """Reads a user's token; None for another text."""
    parts = text.split(".")
    if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) <= 12):
        return None
    return UserToken(*parts)


def _user_signature(secret: str, user_id: str, expires_at: str) -> str:
    return _mac(secret, f"user-token\n{expires_at}\n{user_id}")


def _mac(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
