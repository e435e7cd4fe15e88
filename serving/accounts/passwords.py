"""Hashes and checks of passwords with argon2id, at the parameters that RFC 9106 recommends for little memory (64 MiB)."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from fastapi.concurrency import run_in_threadpool

from schemas.errors import ConfigurationInvalid

SHORTEST: Final = 12
LONGEST: Final = 256
"""Characters of a password. A longer one costs nothing more to guess, and something to hash."""
_AT_ONCE: Final = 2
"""Checks that run at the same time. Each takes 64 MiB and some 50 ms of CPU."""
_DIFFERENT: Final = 5

_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def checked_password(password: str, name: str) -> str:
    """The password; raises ConfigurationInvalid if it is too short, too long or too easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigurationInvalid(f"a password has {SHORTEST} to {LONGEST} characters, not {len(password)}")
    if len(set(password)) < _DIFFERENT or name.lower() in password.lower():
        raise ConfigurationInvalid(
            f"this password is easy to guess: use {_DIFFERENT} different characters or more, and not the account's name"
        )
    return password


def hash_password(password: str) -> str:
    """The password's hash with its salt and parameters. Blocks for some 50 ms."""
    return _HASHER.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """True if the hash is that of the password. Without a hash it takes as long, so that nobody learns which accounts exist."""
    try:
        return _HASHER.verify(password_hash or _nobodys_hash(), password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return hash_password("the password of nobody")


class PasswordChecks:
    """Checks passwords on threads, a few at once, so that a flood of sign-ins costs bounded memory and CPU."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def verify(self, password_hash: str, password: str) -> bool:
        """See ``verify_password``. A password beyond LONGEST is wrong."""
        if len(password) > LONGEST:
            return False
        async with self._turns:
            return await run_in_threadpool(verify_password, password_hash, password)
