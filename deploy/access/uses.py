"""Records on the log when keys were used: at most once an hour for each key of a process, and never in a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog

from schemas.access.uses import KeyUse, use_entry
from schemas.errors import FreshetError
from schemas.log import topics
from schemas.ports import LogWriter

_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class UseRecorder:
    """Writes new uses whenever it is called; for one thread."""

    def __init__(self, uses: Mapping[str, int], open_writer: Callable[[], LogWriter]) -> None:
        """``uses`` is by key the hour of its last use, and may change meanwhile. The writer is opened at the first use."""
        self._uses, self._open_writer = uses, open_writer
        self._recorded: dict[str, int] = {}
        self._writer: LogWriter | None = None

    def __call__(self) -> None:
        """Appends what is new; a log that does not answer gets it at a later call."""
        new = {id_: hour for id_, hour in dict(self._uses).items() if self._recorded.get(id_) != hour}
        if not new:
            return
        try:
            self._writer = self._writer or self._open_writer()
            entries = [use_entry(KeyUse(id_, hour)) for id_, hour in new.items()]
            results = self._writer.append(topics.KEY_USES, entries).result(_SECONDS)
        except (FreshetError, TimeoutError) as error:
            _log.debug("uses_not_recorded", reason=str(error))
            return
        if not any(isinstance(result, Exception) for result in results):
            self._recorded |= new

    def close(self) -> None:
        """Closes the writer."""
        if self._writer is not None:
            with suppress(FreshetError):
                self._writer.close()
