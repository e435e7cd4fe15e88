"""Names that count once on a site, as keys of Redis that expire by themselves."""

from __future__ import annotations

from secrets import token_hex
from typing import Final

import redis

from adapters.redis.servers import redis_servers, unavailable
from schemas.configuration import site
from schemas.configuration.addresses import Address
from schemas.configuration.server_access import NO_ACCESS, ServerAccess

ANSWER_SECONDS: Final = 0.5
"""Longest wait for a reply: a request waits for it."""


class RedisNonces:
    """Implements ``schemas.ports.NonceStore``."""

    def __init__(self, url: str, prefix: str = "", *, access: ServerAccess = NO_ACCESS) -> None:
        servers = redis_servers(url, access, ANSWER_SECONDS)
        self._prefix, self._shown = prefix, servers.shown
        self._connection = servers.blocking()

    def add(self, name: str, seconds: float) -> bool:
        """Remembers a name."""
        # The value says who wrote it: the driver sends a command again if the reply was lost.
        own, key = token_hex(8), f"{self._prefix}nonce:{name}"
        try:
            before = self._connection.execute("SET", key, own, "NX", "GET", "PX", round(seconds * 1_000))
        except (redis.RedisError, OSError) as error:
            raise unavailable(self._shown, error) from error
        return before is None or before in (own, own.encode())

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def nonce_store(address: Address) -> RedisNonces:
    """The store of nonces of an address."""
    return RedisNonces(address.url, site.key_prefix(address.site), access=address.access)
