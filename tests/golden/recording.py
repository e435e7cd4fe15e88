"""The recording: what it holds, how it is made, stored and compared."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any, Final

from tests.golden import subject
from tests.golden.requests import Call, calls, groups
from tests.golden.traffic import facts

FILE: Final = Path(__file__).parent / "recording.json.gz"
REPLAYS: Final = FILE.with_name("replays.json")
TOLERANCE: Final = 1e-5
"""Relative difference up to which two floats are equal: sums of 32-bit floats differ from processor to processor."""
RENAMED: Final = {
    "again": "revisits",
    "next": "covisitation",
    "together": "bought_together",
    "people": "user_knn",
    "list": "precomputed",
    "text": "content",
    "trending_here": "trending_in_context",
    "session": "session_knn",
}
"""Candidate sources that were renamed on purpose since the recording: the recorded name, and the name of today."""
_IDS: Final = frozenset({"model_version", "recommendation_id", "config_id", "sources_offsets", "sources_utf8"})
"""Fields that name a run or hold names that were changed on purpose; only their presence is compared."""
_DIGITS: Final = 7
_MISSING: Final = "(missing)"


def prepare(site: subject.Site) -> dict[str, Any]:
    """Make the recorded site on a stack; the digests of its signals and what its training published."""
    subject.append(site, facts())
    subject.fold(site)
    signals = subject.digests(site)
    training = subject.train(site)
    subject.count_statistics(site)
    return rounded({"signals": signals, "training": training})


def record(site: subject.Site) -> dict[str, Any]:
    """All that is recorded of a stack, but replays."""
    return prepare(site) | {"answers": rounded(subject.answers(site, calls()))}


def write(made: dict[str, Any]) -> None:
    """Store what was recorded of the embedded stack; the cluster's must be the same."""
    text = json.dumps(made, separators=(",", ":"), sort_keys=True)
    FILE.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def read() -> dict[str, Any]:
    """What was recorded of both stacks, its names those of today."""
    recorded: dict[str, Any] = _renamed(json.loads(gzip.decompress(FILE.read_bytes())))
    return recorded


def write_replays(replays: dict[str, Any]) -> None:
    """Store rows of replays by their data sets, beside those that were stored before."""
    stored = json.loads(REPLAYS.read_text()) if REPLAYS.exists() else {}
    lines = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in sorted((stored | rounded(replays)).items())
    ]
    REPLAYS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_replays() -> dict[str, Any]:
    """The recorded rows of replays by their data sets; a source's name may be a part of a row's."""
    stored: dict[str, Any] = json.loads(REPLAYS.read_text())
    renamed = (
        (name, [[" ".join(_renamed(row[0].split())), *row[1:]] for row in rows]) for name, rows in stored.items()
    )
    return {name: by_name(rows) for name, rows in renamed}


def by_name(rows: list[Any]) -> dict[str, Any]:
    """Questions and metrics of a replay's rows by the rows' names, whatever their order."""
    return {name: figures for name, *figures in rows}


def some(recorded: dict[str, Any], step: int) -> tuple[list[Call], list[Any]]:
    """The calls of each ``step``-th group with their recorded answers."""
    answers = iter(recorded["answers"])
    paired = [[(call, next(answers)) for call in group] for group in groups()]
    chosen = [pair for group in paired[::step] for pair in group]
    return [call for call, _ in chosen], [answer for _, answer in chosen]


def differences(expected: Any, actual: Any, where: str = "") -> list[str]:
    """What is not equal, each with the path to it; floats are compared with TOLERANCE."""
    name = where.rpartition(".")[2]
    if name in _IDS:
        return [] if (expected is None) == (actual is None) else [f"{where}: {expected!r} is {actual!r}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = sorted(expected.keys() | actual.keys())
        return [
            d
            for key in keys
            for d in differences(expected.get(key, _MISSING), actual.get(key, _MISSING), f"{where}.{key}")
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [d for place, (left, right) in pairs for d in differences(left, right, f"{where}[{place}]")]
    return [] if _equal(expected, actual) else [f"{where}: {expected!r} is {actual!r}"]


def _equal(expected: Any, actual: Any) -> bool:
    if isinstance(expected, float) and isinstance(actual, float | int):
        return math.isclose(expected, actual, rel_tol=TOLERANCE, abs_tol=1e-12)
    return bool(expected == actual)


def rounded(value: Any) -> Any:
    """The same with shorter floats, so that the file stays small."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return {name: rounded(part) for name, part in value.items()} if isinstance(value, dict) else value


def _renamed(value: Any, key: str = "source") -> Any:
    """The value with today's name of each candidate source, which stands under ``source``."""
    if isinstance(value, str):
        return RENAMED.get(value, value) if key == "source" else value
    if isinstance(value, list):
        return [_renamed(part, key) for part in value]
    return {name: _renamed(part, name) for name, part in value.items()} if isinstance(value, dict) else value
