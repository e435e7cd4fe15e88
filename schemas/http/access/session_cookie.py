"""The cookie of a person's session: sets it, removes it, and finds the person whose session a request belongs to."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from schemas.access.accounts import Account
from schemas.access.principal import Principal
from schemas.access.sessions import LoginSession, SessionSigner, person_of
from schemas.http.problems import ProblemError
from schemas.ports import Clock

CSRF_HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CSRF: Final = CSRF_HEADER.lower().encode()
NAME: Final = "freshet_session"
_SECURE_NAME: Final = f"__Host-{NAME}"
"""Browsers accept this prefix only over TLS, from this host, for the whole site."""


class SessionCookie:
    """The sessions of one site, as its browsers bring them."""

    def __init__(
        self,
        signer: SessionSigner,
        accounts: Callable[[], dict[str, Account]],
        clock: Clock,
        lifetime: float,
        *,
        secure: bool,
    ) -> None:
        """``lifetime`` in seconds. ``secure``: browsers send the cookie over TLS alone."""
        self._signer, self._accounts, self._clock, self._lifetime, self._secure = (
            signer,
            accounts,
            clock,
            lifetime,
            secure,
        )
        self._name = _SECURE_NAME if secure else NAME

    def set(self, response: Response, session: LoginSession) -> None:
        """Lets the browser keep the session."""
        response.set_cookie(
            self._name,
            self._signer.write(session),
            max_age=int(self._lifetime),
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def remove(self, response: Response) -> None:
        """Lets the browser forget the session."""
        response.delete_cookie(self._name, secure=self._secure, httponly=True, samesite="lax")

    def session_of(self, scope: Scope) -> LoginSession | None:
        """The session that a request brings; None if it brings none, or one that is over or not signed here."""
        text = cookies_of(scope).get(self._name)
        return None if text is None else self._signer.read(text, self._clock(), self._lifetime)

    def csrf_token(self, session: LoginSession) -> str:
        """The token that the pages of this session send with each change."""
        return self._signer.csrf_token(session)

    def has_csrf_token(self, session: LoginSession, token: str) -> bool:
        """True if a form or a header brought this session's token."""
        return self._signer.has_csrf_token(session, token)

    def person_of(self, scope: Scope) -> Principal | None:
        """The person whose session a request belongs to; None if it brings no session that counts.

        Raises ProblemError (403) for a change without the session's token.
        """
        session = self.session_of(scope)
        person = None if session is None else person_of(session, self._accounts())
        if session is None or person is None or scope["method"] in SAFE_METHODS:
            return person
        token = next((value for name, value in scope["headers"] if name == _CSRF), b"").decode("latin-1")
        if not self.has_csrf_token(session, token):
            detail = f"a change in a session needs the header {CSRF_HEADER}: its value is `csrf_token` of GET /account"
            raise ProblemError(403, "csrf", detail)
        return person


def cookies_of(scope: Scope) -> dict[str, str]:
    """The cookies of a request by name; none if the header cannot be read."""
    header = next((value for name, value in scope["headers"] if name == b"cookie"), None)
    if header is None:
        return {}
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header.decode("latin-1")).items()}
    except CookieError:
        return {}
