"""The clocks of collector, workers and API differ by ten minutes, and are set back."""

from __future__ import annotations

from tests.faults.run import Fault, Run, call

APART_SECONDS = 600.0


def clocks_apart(run: Run) -> None:
    """In each repetition, every process gets another clock: ten minutes ahead, right, or ten minutes behind."""
    for number in run.repeat():
        for place, (name, process) in enumerate(sorted(run.world.processes.items())):
            seconds = (APART_SECONDS, -APART_SECONDS, 0.0)[(place + number) % 3]
            process.stop()
            process.shift(seconds)
            process.start()
            if name == run.world.collecting:
                run.notes.append(f"repetition {number + 1}: the collector's clock was off by {seconds:+g} s")
        run.recover()
        run.pause(8.0, 12.0)
        _expect_no_letters(run)


def _expect_no_letters(run: Run) -> None:
    """An event without ``occurred_at`` that was accepted is no dead letter, whatever the collector's clock says."""
    from ingest.dead_letters import letters

    run.settle()
    with run.world.opened() as dependencies:
        found = list(letters(dependencies.reader))
    run.clients.resume()
    run.expect(not found, f"{len(found)} accepted events are dead letters: {found[0].letter.reason if found else ''}")
    status, answer = call(f"{run.world.collector}/health/ready")
    run.notes.append(f"the collector's readiness: {status} {answer.get('missing')}")


FAULTS = [
    Fault(
        18,
        "clocks-apart",
        "the clocks of collector, workers and API are 10 min apart, and are set back",
        "nothing refused wrongly, order by the log, an alert on skew",
        clocks_apart,
        fresh=True,
        repetitions=3,
    ),
]
