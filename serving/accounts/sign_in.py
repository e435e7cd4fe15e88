"""Decides whether a name and password, or an identity of a provider, sign somebody in. Knows nothing of HTTP."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

from schemas.access.accounts import MAX_NAME, Account, account_of_identity, with_identity
from schemas.access.sessions import LoginSession
from schemas.errors import FreshetError
from schemas.http.access.limits import RateLimiter
from schemas.ports import Clock
from serving.accounts.passwords import PasswordChecks
from serving.accounts.provider import Identity

TRIES_OF_ADDRESS: Final = 10
"""Sign-ins that an address may try in five minutes."""
TRIES_OF_NAME: Final = 100
"""Sign-ins that may be tried with a name in five minutes, from all addresses. It is larger, so that nobody locks out another person."""
_SECONDS: Final = 300.0


class SignInRefused(FreshetError):
    """Nobody was signed in; the message is for the person who tried."""


class TooManyTries(SignInRefused):
    """Too many tries in a short time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__(f"There were too many tries. Wait {self.seconds} seconds, then try again.")


class SignIn:
    """Signs people in to the accounts of a site."""

    def __init__(
        self,
        accounts: Callable[[], dict[str, Account]],
        keep: Callable[[Account], Awaitable[None]],
        new_id: Callable[[], str],
        clock: Clock,
        monotonic: Clock,
    ) -> None:
        """``keep`` writes an account's record to the log. ``new_id`` makes an id that nobody can guess."""
        self._accounts, self._keep, self._new_id, self._clock = accounts, keep, new_id, clock
        self._passwords = PasswordChecks()
        self._by_address = RateLimiter(TRIES_OF_ADDRESS / _SECONDS, TRIES_OF_ADDRESS, monotonic)
        self._by_name = RateLimiter(TRIES_OF_NAME / _SECONDS, TRIES_OF_NAME, monotonic)

    async def with_password(self, name: str, password: str, address: str) -> LoginSession:
        """A new session for this name and password; raises SignInRefused, in the same words whatever was wrong."""
        wanted = name.strip().lower()[:MAX_NAME]
        seconds = max(self._by_address.wait(address, 1), self._by_name.wait(wanted, 1))
        if seconds > 0:
            raise TooManyTries(seconds)
        account = self._accounts().get(wanted)
        password_hash = account.password_hash if account is not None else ""
        right = await self._passwords.verify(password_hash, password)
        if account is None or not right or not account.is_enabled:
            raise SignInRefused("The name or the password is not right.")
        return self._session(account)

    async def with_identity(self, identity: Identity) -> LoginSession:
        """A new session for a provider's identity, which is bound to its account the first time; raises SignInRefused."""
        account = account_of_identity(self._accounts(), identity.issuer, identity.subject, identity.verified_email)
        if account is None or not account.is_enabled:
            who = identity.verified_email or "this identity, whose e-mail address the provider has not verified,"
            raise SignInRefused(f"There is no account for {who}. Ask an administrator for one.")
        if not account.identity:
            await self._keep(with_identity(account, identity.issuer, identity.subject))
        return self._session(account)

    def _session(self, account: Account) -> LoginSession:
        return LoginSession(self._new_id(), account.name, self._clock())
