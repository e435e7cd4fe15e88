"""The recording: what it holds, how it is made, stored and compared."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any, Final

from tests.golden import subject
from tests.golden.requests import Call, calls
from tests.golden.traffic import facts

FILE: Final = Path(__file__).parent / "recording.json.gz"
TOLERANCE: Final = 1e-5
"""Relative difference up to which two floats are equal: sums of 32-bit floats differ from processor to processor."""
RENAMED: Final[dict[str, str]] = {}
"""Public names that were changed on purpose since the recording: the recorded name, and the name of today."""
_IDS: Final = frozenset({"model_version", "recommendation_id"})
"""Fields that name a run, of which only the presence is compared."""
_DIGITS: Final = 7


def prepare(folder: Path) -> dict[str, Any]:
    """Make the recorded site in a folder; the digests of its signals and the figures of its training."""
    subject.append(folder, facts())
    subject.fold(folder)
    signals = subject.digests(folder)
    training = subject.train(folder)
    subject.count_statistics(folder)
    return {"signals": signals, "training": training}


def record(folder: Path) -> dict[str, Any]:
    """Make the whole recording anew, in an empty folder."""
    made = prepare(folder)
    return made | {"answers": _rounded(subject.answers_of_folder(folder, calls()))}


def write(made: dict[str, Any], replays: dict[str, Any]) -> None:
    """Store a recording, the metrics of replays included."""
    text = json.dumps(made | {"replays": replays}, separators=(",", ":"), sort_keys=True)
    FILE.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def read() -> dict[str, Any]:
    """The stored recording, its names those of today."""
    recorded: dict[str, Any] = _renamed(json.loads(gzip.decompress(FILE.read_bytes())))
    return recorded


def every(recorded: dict[str, Any], step: int) -> tuple[list[Call], list[Any]]:
    """Each ``poll``-th call with its recorded answer."""
    return calls()[::step], recorded["answers"][::step]


def differences(expected: Any, actual: Any, where: str = "") -> list[str]:
    """What is not equal, each with the path to it; floats are compared with TOLERANCE."""
    name = where.rpartition(".")[2]
    if name in _IDS:
        return [] if (expected is None) == (actual is None) else [f"{where}: {expected!r} is {actual!r}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = sorted(expected.keys() | actual.keys())
        return [d for key in keys for d in differences(expected.get(key), actual.get(key), f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [d for place, (left, right) in pairs for d in differences(left, right, f"{where}[{place}]")]
    return [] if _equal(expected, actual) else [f"{where}: {expected!r} is {actual!r}"]


def _equal(expected: Any, actual: Any) -> bool:
    if isinstance(expected, float) and isinstance(actual, float | int):
        return math.isclose(expected, actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(expected == actual)


def _rounded(value: Any) -> Any:
    """The same with shorter floats, so that the file stays small."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return {name: _rounded(part) for name, part in value.items()} if isinstance(value, dict) else value


def _renamed(value: Any) -> Any:
    if isinstance(value, str):
        return RENAMED.get(value, value)
    if isinstance(value, list):
        return [_renamed(part) for part in value]
    return {name: _renamed(part) for name, part in value.items()} if isinstance(value, dict) else value
