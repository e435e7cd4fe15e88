"""Time and memory of each step for many interactions on one machine: archive, training, lists, publishing.

The size is in millions of interactions (``python -m tests.bench scale``; FRESHET_BENCH_MILLIONS, 20 by default).
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from adapters.parquet.archive import ParquetArchive
from adapters.sqlite.models import SqliteModelStore
from offline.engines.options import TrainingOptions
from offline.evaluation.memory import peak_mib, reset_peak
from offline.jobs.train import TrainingParts, train
from schemas.log.records import OffsetToken
from schemas.offline.manifest import Manifest
from tests.bench.results import Figures, console
from tests.bench.synthetic import SyntheticLog

LIMIT_MIB = 8 * 1024


class Steps:
    """A Progress that records the seconds and the peak memory of each step."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}
        self._name, self._begun = "start", time.perf_counter()
        reset_peak()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._name:
            self.end()
            self._name = what

    def end(self) -> None:
        """Ends the current step."""
        now = time.perf_counter()
        row = self.rows.setdefault(self._name, {"seconds": 0.0, "peak_mib": 0.0})
        row["seconds"] = round(row["seconds"] + now - self._begun, 1)
        row["peak_mib"] = round(max(row["peak_mib"], peak_mib()))
        console.print(f"{self._name}: {row['seconds']} s, {row['peak_mib']:.0f} MiB")
        self._begun = now
        reset_peak()


class _NoHints:
    """A log writer for hints that discards them."""

    def append(self, _topic: str, entries: Any) -> Future[list[Any]]:
        done: Future[list[Any]] = Future()
        done.set_result([OffsetToken(0, 0) for _ in entries])
        return done

    def close(self) -> None:
        pass


def measure() -> Figures:
    millions = float(os.environ.get("FRESHET_BENCH_MILLIONS", "20"))
    events, users, items = int(millions * 1e6), int(millions * 5e4), int(millions * 5e3)
    with tempfile.TemporaryDirectory(prefix="freshet-scale-") as name:
        folder = Path(name)
        steps, begun = Steps(), time.perf_counter()
        store = SqliteModelStore(folder)
        parts = TrainingParts(
            SyntheticLog(events, users, items), ParquetArchive(folder / "archive"), store, _NoHints(), time.time
        )
        outcome = train(parts, "single", progress=steps, options=TrainingOptions())
        steps.end()
        seconds = time.perf_counter() - begun
        assert isinstance(outcome, Manifest)
        figures = {
            "interactions": outcome.window.interactions,
            "users": outcome.window.users,
            "items": outcome.window.items,
            "lists": outcome.lists,
            "quality": outcome.metrics,
            "seconds": round(seconds),
            "peak_mib": max(row["peak_mib"] for row in steps.rows.values()),
            "limit_mib": LIMIT_MIB,
            "archive_mib": _size(folder / "archive"),
            "models_mib": _size(folder) - _size(folder / "archive"),
            "steps": steps.rows,
        }
        store.close()
    return Figures("embedded", figures)


def _size(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20)
