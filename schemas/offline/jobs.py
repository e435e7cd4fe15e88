"""The record of a job's run: why it ran, its progress, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec
import structlog

from schemas.errors import UNREADABLE, Undecodable

RunOutcome = Literal["running", "done", "skipped", "refused", "failed", "stopped", "lost"]
"""The outcome of a run. ``skipped``: there was no work. ``refused``: the gate refused the version. ``stopped``: a person
stopped it. ``lost``: its process disappeared."""

WELL: Final = frozenset({"done", "skipped"})
"""Outcomes that need no attention."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job."""

    run_id: str
    """Run ids sort by the start of the run."""
    job: str
    reason: str
    started_at: datetime
    holder: str
    """The machine and process that runs it."""
    token: int
    """The lease's fencing token: a later run under the same lease has a larger one."""
    finished_at: datetime | None = None
    step: str = ""
    done: int = 0
    total: int = 0
    """All units of the step, ``done`` of which are done; 0 if not known."""
    outcome: RunOutcome = "running"
    message: str = ""
    """The version that the run produced, or a sentence about its failure."""
    undelivered: int = 0
    """Webhooks that could not be notified of the outcome."""
    unexported: tuple[str, ...] = ()
    """A sentence for each target to which its version could not be exported."""
    expired: int = 0
    """Records that a retention removed."""


_log = structlog.get_logger(__name__)
_DECODER = msgspec.json.Decoder(Run)


def encode_run(run: Run) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(run)


def decode_run(value: bytes) -> Run:
    """Reads a record; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except UNREADABLE as error:
        raise Undecodable(f"not a record of a run: {error}") from error


def decode_runs(values: Iterable[bytes]) -> list[Run]:
    """Reads records, and leaves out those that cannot be read."""
    runs = []
    for value in values:
        try:
            runs.append(decode_run(value))
        except Undecodable as error:
            _log.error("run_unreadable", error=str(error))
    return runs
