"""Keeps a signed request from counting at two processes of a site: its nonce is noted in the store that they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from threading import Lock
from typing import Final

import structlog
from fastapi.concurrency import run_in_threadpool

from schemas.access.signing import WINDOW_SECONDS
from schemas.errors import FreshetError
from schemas.http.access.metrics import NONCES_NOT_SHARED
from schemas.ports import NonceStore

_SECONDS: Final = 1.0
"""Longest time that a request waits for the store."""
_PAUSE_SECONDS: Final = 1.0
"""After a failure, the store is not asked for so long."""
_MENTIONED_SECONDS: Final = 300.0
"""How long readiness speaks of a failure."""

_log = structlog.get_logger(__name__)


class SharedNonces:
    """A ``NonceCheck`` on a store. While the store is away, nobody knows of other processes, and readiness says so."""

    def __init__(self, open_store: Callable[[], NonceStore], steady: Callable[[], float] = time.monotonic) -> None:
        """The store is opened at the first signed request."""
        self._open_store, self._steady = open_store, steady
        self._store: NonceStore | None = None
        self._opening = Lock()
        self._failed_at, self._reason = float("-inf"), ""

    async def __call__(self, key_id: str, nonce: str) -> bool | None:
        """False if another process has noted the nonce; None while the store is away."""
        if self._steady() < self._failed_at + _PAUSE_SECONDS:
            NONCES_NOT_SHARED.inc()
            return None
        # A digest, so that what a client makes up cannot be a key of another kind.
        name = blake2b(f"{key_id} {nonce}".encode("utf-8", "replace"), digest_size=16).hexdigest()
        try:
            return await asyncio.wait_for(run_in_threadpool(self._add, name), _SECONDS)
        except (FreshetError, TimeoutError) as error:
            self._failed_at, self._reason = self._steady(), str(error) or f"no reply within {_SECONDS:g} s"
            NONCES_NOT_SHARED.inc()
            _log.warning("nonce_not_shared", reason=self._reason)
            return None

    def warnings(self) -> list[str]:
        """A sentence if signed requests are refused, or could have counted at another process too."""
        if self._steady() > self._failed_at + _MENTIONED_SECONDS:
            return []
        refused = "signed requests that change items, users or settings or read about people are refused, and others may count once in each process"
        return [f"{refused}, because nonces are not shared: {self._reason}"]

    def close(self) -> None:
        """Closes the store."""
        if self._store is not None:
            with suppress(FreshetError):
                self._store.close()

    def _add(self, name: str) -> bool:
        with self._opening:
            store = self._store = self._store or self._open_store()
        # The clocks of client and server may differ by a window, so a request could come again for two windows.
        return store.add(name, 2 * WINDOW_SECONDS)
