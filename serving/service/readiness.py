"""What an online process still waits for before it is ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from schemas.background import failing
from schemas.ports import Clock
from serving.state.model_sync import ModelSync
from serving.state.online_state import OnlineState
from serving.state.signal_sync import SignalSync

_STALE_SECONDS: Final = 5.0
"""A signal that was not read for this long means that its store does not answer."""


class ReadinessCheck:
    """Looks at the syncs of a process; each missing part is a sentence."""

    def __init__(
        self,
        state: OnlineState,
        items: SignalSync,
        aggregates: SignalSync,
        lag_reason: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        """``lag_reason`` returns why the signals are still behind; None once they have caught up."""
        self._state, self._items, self._aggregates = state, items, aggregates
        self._lag_reason, self._clock = lag_reason, clock
        self._began_empty = False

    def missing(self, models: ModelSync | None) -> list[str]:
        """Returns what is missing; empty once the process is ready. ``models`` is None before the start."""
        missing = [self._stale(self._items, "the catalogue"), self._stale(self._aggregates, "the aggregates")]
        missing.append(self._lag_reason())
        if self._state.models.version is None:
            missing.append(self._no_model(models, otherwise_ready=not any(missing)))
        return [sentence for sentence in missing if sentence is not None] + failing()

    def _stale(self, sync: SignalSync, name: str) -> str | None:
        if sync.read_at is None:
            return f"{name} has not been read yet; is the signal store running?"
        if not sync.complete and self._lag_reason() is None:
            return f"{name} has not been read since the signals caught up"
        age = abs(self._clock() - sync.read_at)  # a clock that was set back must not hide that a store is gone
        return f"{name} was last read {age:.0f} s ago; is the signal store running?" if age > _STALE_SECONDS else None

    def _no_model(self, models: ModelSync | None, *, otherwise_ready: bool) -> str | None:
        if models is None or not models.checked:
            return "the model store does not answer"
        # A new shop that serves without a model goes on serving when its first event comes.
        self._began_empty |= otherwise_ready and self._state.aggregates.empty
        return None if self._began_empty else "no model is active; run 'freshet train'"
