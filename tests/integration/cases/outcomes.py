"""What one case did: the runs of ``freshet``, the records on the log, and the calls of a running process."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.e2e.systems import call


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    arguments: list[str]
    output: str
    exit_code: int
    counts: dict[str, Any] | None
    """What ``--json`` wrote; None where no row was read."""

    @property
    def data(self) -> Path:
        """The data folder; the last one counts."""
        return Path([value for name, value in pairwise(self.arguments) if name == "--data"][-1])

    @property
    def text(self) -> str:
        """The output on one line, however wide the terminal is."""
        return " ".join(self.output.split())

    @property
    def kept(self) -> int:
        return 0 if self.counts is None else self.counts["kept"]

    @property
    def repeated(self) -> int:
        return 0 if self.counts is None else self.counts["repeated"]

    @property
    def refused(self) -> int:
        return 0 if self.counts is None else sum(self.counts["refused"].values())

    def names(self, *texts: str) -> bool:
        """True if the output has all the texts."""
        return all(text in self.text for text in texts)

    def log(self, topic: str = "events") -> list[dict[str, Any]]:
        """The records of a topic on the embedded log."""
        if not (self.data / "log.sqlite").exists():
            return []
        with closing(sqlite3.connect(f"file:{self.data / 'log.sqlite'}?mode=ro", uri=True)) as database:
            values = database.execute('SELECT value FROM records WHERE topic = ? ORDER BY partition, "offset"', [topic])
            return [json.loads(value) for (value,) in values]

    def pairs(self) -> list[tuple[str, str]]:
        """User and item of each event on the log, sorted."""
        return sorted((event.get("user_id", ""), event.get("item_id", "")) for event in self.log())

    def times(self) -> list[str]:
        """The times of the events on the log, sorted."""
        return sorted(event["occurred_at"] for event in self.log())


@dataclass(frozen=True)
class Script:
    """What the ``cmd.sh`` of a case did."""

    output: str
    runs: list[Run]
    freshet: Callable[..., Run]
    """Runs the command once more, in the same folder."""

    @property
    def imports(self) -> list[Run]:
        return [run for run in self.runs if run.arguments[0] == "import"]

    @property
    def last(self) -> Run:
        return self.runs[-1]

    def check_counts(self) -> None:
        """What holds for each import: no traceback, counts that add up, and no success that kept nothing."""
        assert "Traceback" not in self.output, self.output
        kept: Counter[Path] = Counter()
        for run in self.imports:
            if run.counts is not None:
                assert run.counts["read"] == run.kept + run.repeated + run.refused, run.counts
            assert run.exit_code != 0 or run.kept + run.repeated > 0, run.output
            kept[run.data] += run.kept
        on_log = {run.data: sum(len(run.log(topic)) for topic in ("events", "items", "users")) for run in self.imports}
        assert on_log == kept, self.output


@dataclass(frozen=True)
class Calls:
    """What the ``case.py`` of a case printed, and the process that it called."""

    url: str
    output: str

    def line(self, label: str, occurrence: int = 0) -> str:
        """What was printed after a label."""
        return [line.removeprefix(label) for line in self.output.splitlines() if line.startswith(label)][occurrence]

    def status(self, label: str, occurrence: int = 0) -> int:
        """The status that ``show`` printed after a label."""
        return int(self.line(f"{label}: ", occurrence)[:3])

    @property
    def server_errors(self) -> list[str]:
        """The lines with a status of 500 or more."""
        return [line for line in self.output.splitlines() if re.search(r"(^|: | )5\d\d( |$)", line)]

    def get(self, path: str) -> tuple[int, Any]:
        """A call of the same process: its status and body."""
        return call(self.url + path)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """A call of the same process: its status and body."""
        return call(self.url + path, body)
