"""Sessions of people: the signed text that a browser keeps in a cookie, and the token against forged requests (CSRF).

A session is not stored anywhere. Its text names the account and when it began. The account's record says whether the
session still counts, so that a session ends everywhere as soon as the record does.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from schemas.access.accounts import Account
from schemas.access.principal import Principal
from schemas.errors import ConfigurationInvalid

LONGEST: Final = 1_024
"""Characters of a text that may be a session; a longer one is not looked at."""
SHORTEST_SECRET: Final = 32
"""Characters that the secret of a site needs at least."""


class LoginSession(NamedTuple):
    """A person's session: a random id, the name of the account, and when it began (seconds since 1970)."""

    id: str
    account: str
    began_at: float


class SessionSigner:
    """Writes and reads the text of sessions. All processes of a site need the same secret, or they know no session of another."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is the site's. Raises ConfigurationInvalid if it is shorter than SHORTEST_SECRET."""
        if len(secret) < SHORTEST_SECRET:
            raise ConfigurationInvalid(
                f"sessions need a site's secret of {SHORTEST_SECRET} characters or more: set FRESHET_ACCESS_SECRET to what"
                " `openssl rand -hex 32` prints"
            )
        self._csrf_key = hmac.digest(secret, b"freshet csrf", "sha256")
        self._serializer: URLSafeSerializer = URLSafeSerializer(
            secret, salt="freshet session", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )

    def write(self, session: LoginSession) -> str:
        """The text for the cookie."""
        return str(self._serializer.dumps(list(session)))

    def read(self, text: str, now: float, lifetime: float) -> LoginSession | None:
        """The session of a text; None if the text is not signed by this secret, or the session is over."""
        if len(text) > LONGEST:
            return None
        try:
            id_, account, began_at = self._serializer.loads(text)
        except (BadData, TypeError, ValueError):
            return None
        session = LoginSession(str(id_), str(account), float(began_at))
        return session if session.began_at <= now < session.began_at + lifetime else None

    def csrf_token(self, session: LoginSession) -> str:
        """The token that each change in this session must bring: other sites can send the cookie, but not read this."""
        return hmac.digest(self._csrf_key, session.id.encode(), "sha256").hex()

    def has_csrf_token(self, session: LoginSession, token: str) -> bool:
        """True if this is the session's token, compared in constant time."""
        return hmac.compare_digest(self.csrf_token(session).encode(), token.encode("utf-8", "surrogatepass"))


def person_of(session: LoginSession, accounts: dict[str, Account]) -> Principal | None:
    """The person of a session as the account's record has it now; None if the session no longer counts."""
    account = accounts.get(session.account)
    if account is None or not account.accepts_session(session.began_at):
        return None
    return Principal(account.name, "person", account.scopes)
