"""The results of faults: one file a fault and stack, ``results/<stack>-<name>.json``, written from a real run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from deploy.commands.evaluation.options import commit

FOLDER = Path(__file__).parent / "results"
console = Console(soft_wrap=True, highlight=False)


@dataclass
class Row:
    """What one fault cost. A clean row has 0 lost, doubled, wrong and server errors."""

    fault: str
    """What was done, in words."""
    must: str = ""
    """What must hold, beside that nothing is lost, doubled or wrong."""
    number: int = 0
    """The fault's number in the table of docs/reliability.md; 0 if it has none."""
    repetitions: int = 0
    """How often it was done in this run."""
    acknowledged: int = 0
    """Events that a client got 202 for."""
    lost: int = 0
    """Acknowledged events that the log or the signals lack."""
    doubled: int = 0
    """Events that count more than once."""
    wrong: int = 0
    """Stored values that differ from a fold of the log, and broken promises of this fault."""
    server_errors: int = 0
    """Answers 5xx. A write's 503 with Retry-After is none, because the client is told to send again."""
    longest_stall_s: float | None = None
    """Longest time from the acknowledgement of an event until it counted in the signals."""
    recovered_s: float | None = None
    """Longest time from the end of a fault until an event of each partition is taken, counts and is read, with nothing degraded."""
    refused: int = 0
    """Writes that got 503 with Retry-After, or 429."""
    reads: int = 0
    """Reads that got an answer."""
    degraded: int = 0
    """Reads that got 200 with something named in ``degraded``."""
    minutes: float = 0.0
    seed: int = 0
    notes: list[str] = field(default_factory=list)
    """What did not hold, and what a reader must know about this run."""

    @property
    def clean(self) -> bool:
        """True if nothing was lost, doubled or wrong, and no answer was an error."""
        return not (self.lost or self.doubled or self.wrong or self.server_errors)


def write(name: str, stack: str, rows: Sequence[Row], folder: Path = FOLDER) -> Path:
    """Writes ``<stack>-<name>.json`` with the commit, the machine and its load, and returns its path."""
    folder.mkdir(exist_ok=True)
    whole: dict[str, Any] = {
        "commit": commit(),
        "stack": stack,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "rows": [asdict(row) for row in rows],
    }
    path = folder / f"{stack}-{name}.json"
    path.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def show(row: Row) -> None:
    """Prints a row, in one line, and its notes."""
    sign = "[green]ok[/green]" if row.clean else "[red]NOT OK[/red]"
    console.print(
        f"{sign} {row.fault}: {row.repetitions} times, seed {row.seed}, {row.acknowledged:,} acknowledged, {row.lost} lost,"
        f" {row.doubled} doubled, {row.wrong} wrong, {row.server_errors} server errors, {row.refused} refused,"
        f" longest stall {row.longest_stall_s} s, recovered in {row.recovered_s} s, {row.minutes} min"
    )
    for note in row.notes:
        console.print(f"   {note}", markup=False)
