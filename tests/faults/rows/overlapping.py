"""Random faults that overlap: a seed says which, of which part, and how long."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from tests.faults.disturbances import Disturbance, all_of
from tests.faults.run import Fault, Run

LONGEST_SECONDS = 15.0
AT_ONCE = 3
RESTART_SECONDS = 1.0


def overlapping(run: Run) -> None:
    """Faults begin at random moments, at most AT_ONCE at a time, and no two of one part. What ends by itself is started again."""
    disturbances = all_of(run.world)
    active: list[tuple[float, Disturbance, contextlib.ExitStack]] = []
    played: list[str] = []
    with contextlib.ExitStack() as everything:
        for _ in _whole_again_at_times(run, active):
            run.pause(0.2, 4.0)
            free = [one for one in disturbances if one.part not in {other.part for _, other, _ in active}]
            if free and len(active) < AT_ONCE:
                chosen, seconds = run.random.choice(free), run.random.uniform(0.5, LONGEST_SECONDS)
                stack = everything.enter_context(contextlib.ExitStack())
                stack.enter_context(chosen.begin())
                active.append((time.monotonic() + seconds, chosen, stack))
                played.append(chosen.name)
            _restart_ended(run, {one.part for _, one, _ in active})
    run.repetitions = len(played)
    run.notes.append("played: " + ", ".join(f"{played.count(name)} × {name}" for name in sorted(set(played))))


def _whole_again_at_times(run: Run, active: list) -> Iterator[int]:
    """The repetitions; heals what is due after each, and after ten waits until everything is whole again."""
    for number in run.repeat():
        yield number
        if number % 10 == 9:
            time.sleep(max(0.0, *(until - time.monotonic() for until, _, _ in active), 0.0))
        for one in [one for one in active if one[0] <= time.monotonic()]:
            active.remove(one)
            one[2].close()
        if number % 10 == 9:
            _restart_ended(run, set())
            run.recover()


def _restart_ended(run: Run, disturbed: set[str]) -> None:
    """Start what ended by itself, as a supervisor does."""
    for name, process in run.world.processes.items():
        if name not in disturbed and not process.alive():
            run.notes.append(f"{name} ended by itself: {process.last_line()}")
            time.sleep(RESTART_SECONDS)
            process.start()


FAULTS = [
    Fault(
        22,
        "random",
        "random faults that overlap: each process and server is killed, frozen, emptied or cut off",
        "nothing lost, nothing twice, no 5xx",
        overlapping,
        repetitions=120,
    ),
]
