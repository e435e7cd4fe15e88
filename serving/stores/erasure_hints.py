"""Follows the hints of erasures: what this process has to drop from its memory, because a person was erased."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from zlib import crc32

import structlog

from schemas.background import BackgroundTask
from schemas.erasures import BUCKETS, HINTS, ErasureHint, decode_hints
from schemas.errors import FreshetError
from schemas.ports import Documents

PAUSE_SECONDS: Final = 0.25

_log = structlog.get_logger(__name__)
Drop = Callable[[list[ErasureHint]], None]
"""Drops what hints name. Called on the event loop."""


class ErasureHintsReader:
    """Reads the hints a few times a second; used from one event loop."""

    def __init__(self, documents: Documents, drop: Drop) -> None:
        self._documents, self._drop = documents, drop
        self._upcoming: int | None = None
        self._task = BackgroundTask("following erasures")

    async def run(self) -> None:
        """Follow the hints, until cancelled."""
        while True:
            with self._task.step():
                await self.check()
            await asyncio.sleep(self._task.pause(PAUSE_SECONDS))

    async def check(self) -> None:
        """Reads once. What was in the store before this process began is nowhere in its memory."""
        try:
            hints = decode_hints(await asyncio.to_thread(self._documents.read, HINTS))
        except FreshetError as error:
            _log.warning("erasures_not_read", reason=str(error))
            return
        known, self._upcoming = self._upcoming, hints.upcoming
        if known is not None and (new := [hint for hint in hints.hints if hint.number >= known]):
            self._drop(new)


def is_in(user_id: str, buckets: frozenset[int]) -> bool:
    """True if the user's bucket is one of these."""
    return crc32(user_id.encode()) % BUCKETS in buckets
