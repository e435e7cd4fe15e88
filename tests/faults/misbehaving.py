"""Runs a module in which one call goes wrong: ``python -m tests.faults.misbehaving FILE MODULE [argument ...]``.

The call goes wrong once whenever the file appears, and the file is then gone. The file holds what goes wrong.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOW_END = "a high watermark that lies once"
HIGH_BEGIN = "a low watermark that lies once"
VALUE_ERROR = "a ValueError in the middle of a batch"
RUNTIME_ERROR = "a RuntimeError in the middle of a batch"
"""Unlike a ValueError, this is no error that a record could cause."""

Due = Callable[..., str | None]


def due_by(trigger: Path) -> Due:
    """Returns a function that says which of the given misbehaviours is due, and takes it."""

    def due(*names: str) -> str | None:
        try:
            name = trigger.read_text()
            if name not in names:
                return None
            trigger.unlink()
        except FileNotFoundError:
            return None
        sys.stdout.write(f"misbehaves: {name}\n")
        sys.stdout.flush()
        return name

    return due


def patch_watermarks(due: Due) -> None:
    """Let a log that holds records say that it is empty, or that retention has removed all of them."""
    from adapters.kafka.log import KafkaLogReader

    truthful = KafkaLogReader.bounds

    def bounds(self: KafkaLogReader, topic: str, partition: int) -> tuple[int, int]:
        begin, end = truthful(self, topic, partition)
        lie = due(LOW_END, HIGH_BEGIN) if begin < end else None
        return {LOW_END: (begin, begin), HIGH_BEGIN: (end, end)}.get(lie or "", (begin, end))

    KafkaLogReader.bounds = bounds  # type: ignore[method-assign]


def patch_folds(due: Due) -> None:
    """Let a fold raise at an event that is not the first of its batch."""
    from nearline.processor import EventProcessor
    from signals import users

    process, fold, folded = EventProcessor.process, users.fold, 0

    def begin(self: EventProcessor, *arguments: Any) -> None:
        nonlocal folded
        folded = 0
        process(self, *arguments)

    def raising(*arguments: Any) -> users.UserValue:
        nonlocal folded
        folded += 1
        if folded > 1 and (error := due(VALUE_ERROR, RUNTIME_ERROR)):
            raise (ValueError if error == VALUE_ERROR else RuntimeError)(error)
        return fold(*arguments)

    EventProcessor.process = begin  # type: ignore[method-assign, assignment]
    users.fold = raising  # type: ignore[assignment]


if __name__ == "__main__":
    taken = due_by(Path(sys.argv[1]))
    patch_watermarks(taken)
    patch_folds(taken)
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
