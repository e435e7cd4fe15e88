"""Ways to say who calls: a key, a signature with the secret of a key, and tokens of users."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Generator
from typing import Final

import httpx

SCHEME: Final = "Freshet-HMAC-SHA256"


class KeyAuth(httpx.Auth):
    """Sends a key as ``Authorization: Bearer KEY``."""

    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.Auth."""
        request.headers["Authorization"] = self._header
        yield request


class SignatureAuth(httpx.Auth):
    """Signs each request with the secret of a key (``freshet keys signing-secret ID``), so that the key need not travel."""

    requires_request_body = True

    def __init__(self, key_id: str, secret: str) -> None:
        self._key_id, self._secret = key_id, secret.encode()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.Auth."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        digest = hashlib.sha256(request.content).hexdigest()
        signed = "\n".join((request.method, request.url.raw_path.decode("ascii"), timestamp, nonce, digest))
        signature = hmac.new(self._secret, signed.encode(), hashlib.sha256).hexdigest()
        request.headers["Authorization"] = (
            f"{SCHEME} key={self._key_id}, timestamp={timestamp}, nonce={nonce}, signature={signature}"
        )
        yield request


def user_token(key_id: str, secret: str, user_id: str, seconds: int = 3600) -> str:
    """Returns a token with which a browser may speak for this user, for so many seconds; at most a week."""
    expiry = str(int(time.time()) + seconds)
    signed = f"user-token\n{expiry}\n{user_id}"
    return f"{key_id}.{expiry}.{hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()}"
