"""The software is rolled back to the release before, and upgraded again, one process at a time, under traffic."""

from __future__ import annotations

from pathlib import Path

from tests.faults.previous import ROOT, HistoryMissing, previous_release
from tests.faults.run import Fault, Run, call

SIDE_BY_SIDE_SECONDS = (2.0, 6.0)


def upgrade(run: Run) -> None:
    try:
        previous = previous_release()
    except HistoryMissing as missing:
        run.notes.append(f"left out: {missing}")
        return
    for _ in run.repeat():
        for release in (previous, ROOT):
            _move_to(run, release)
        run.recover()


def _move_to(run: Run, release: Path) -> None:
    """Moves each process to another release. Between two moves, both releases take, fold and read events side by side."""
    names = sorted(run.world.processes, reverse=release == ROOT)
    for name in names:
        process = run.world.processes[name]
        process.stop()
        process.root = release
        process.start()
        run.recover()
        run.pause(*SIDE_BY_SIDE_SECONDS)
        status, answer = call(f"{run.world.api}/v1/users/probe-0/recommendations")
        run.expect(
            status == 200 and not answer.get("degraded"),
            f"after the move of {name} to {release.name} an answer has status {status}, degraded: {answer.get('degraded')}",
        )


FAULTS = [
    Fault(
        19,
        "upgrade",
        "upgrade under traffic, and rollback of the software",
        "exact and no 5xx, while the release before and this one run side by side",
        upgrade,
        fresh=True,
        leaves_empty_values=True,
        repetitions=2,
    ),
]
