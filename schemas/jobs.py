"""What is kept of a job's run: why it ran, how far it is, how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.errors import Undecodable

Outcome = Literal["running", "done", "skipped", "refused", "failed", "stopped", "lost"]
"""How a run ended: it did its work, had none to do, the gate refused its version, it failed, somebody ended it, or its
process was gone without a word."""

WELL: Final = frozenset({"done", "skipped"})
"""Outcomes of a run that nobody has to look at."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job, as its record says."""

    run_id: str
    """Sorts by when the run began."""
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
    """How much of the step is done; 0 where that is not known."""
    outcome: Outcome = "running"
    message: str = ""
    """The version that it made, or a sentence that says what went wrong."""
    undelivered: int = 0
    """Webhooks that could not be told of what came of it."""
    unexported: tuple[str, ...] = ()
    """A sentence for each place that its version could not be exported to."""


_DECODER = msgspec.json.Decoder(Run)


def encode_run(run: Run) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(run)


def decode_run(value: bytes) -> Run:
    """Read a record; raises Undecodable where it is not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a record of a run: {error}") from error
