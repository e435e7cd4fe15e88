"""Names what this process lacks of the shared state, for ``degraded`` of every answer."""

from __future__ import annotations

from typing import Final

from schemas.ports import Clock
from serving.state.model_sync import ModelSync
from serving.state.signal_sync import SignalSync

STALE_SECONDS: Final = 30.0
"""A signal that was not read for this long is missing: what it says is of the past."""


class MissingState:
    """Looks at the syncs of a process."""

    def __init__(self, items: SignalSync, aggregates: SignalSync, clock: Clock) -> None:
        self._named = (("catalogue", items), ("aggregates", aggregates))
        self._clock = clock
        self.models: ModelSync | None = None
        """The sync of models; None before the start."""

    def names(self) -> list[str]:
        """Returns the names, as docs/serving.md explains them; empty if nothing is missing."""
        now = self._clock()
        missing = [
            name
            for name, sync in self._named
            # A clock that was set back must not hide that the store is gone.
            if sync.read_at is None or abs(now - sync.read_at) > STALE_SECONDS
        ]
        if any(sync.incomplete for _, sync in self._named):
            missing.append("signals")
        if self.models is None or self.models.lacking:
            missing.append("models")
        return missing
