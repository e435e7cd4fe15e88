"""Reads the attributes that a site has sent about its users."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog

from schemas.catalogue import decode_profile
from schemas.errors import UNREADABLE
from schemas.keys import Signal
from schemas.log.topics import partition_of
from schemas.ports import SignalReader
from serving.stores.breaker import ReadFailed, StoreGuard

_log = structlog.get_logger(__name__)


class ProfileReader:
    """Reads users' profiles within a deadline."""

    def __init__(self, reader: SignalReader, guard: StoreGuard, partitions: int) -> None:
        self._reader, self._guard, self._partitions = reader, guard, partitions

    async def attributes(self, user_id: str, degraded: list[str]) -> dict[str, Any] | None:
        """A user's attributes; None without a profile; a failure adds ``profiles`` to ``degraded``."""
        partition = partition_of(user_id.encode(), self._partitions)
        try:
            read = partial(self._reader.read, partition, Signal.PROFILES, [user_id])
            data = (await self._guard.call(read)).values[0]
            profile = None if data is None else decode_profile(data)
        except (ReadFailed, *UNREADABLE) as error:
            _log.warning("profile_not_read", error=str(error))
            degraded.append("profiles")
            return None
        return None if profile is None or profile.deleted else profile.attributes
